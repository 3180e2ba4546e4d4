# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks of the robots in shared/data/bags; the robot files in test/data name them."""

from __future__ import annotations

from torch import Tensor

from loop_ros.sim.task import Task


def _task(
    name: str, observation_labels: tuple[str, ...], high: dict[str, float], period: float
) -> Task:
    def reward(before: Tensor, action: Tensor, after: Tensor) -> Tensor:
        return -after[..., 0].abs()

    return Task(
        name=name,
        observation_labels=observation_labels,
        action_labels=tuple(high),
        action_interfaces=('velocity',) * len(high),
        action_low=tuple(-each for each in high.values()),
        action_high=tuple(high.values()),
        control_period=period,
        max_episode_steps=1000,
        safe_command=(0.0,) * len(high),
        default_d0=0.0,
        state_dim=len(observation_labels),
        encode=lambda observation: observation,
        metrics=lambda observation: {observation_labels[0]: float(observation[0])},
        reward=reward,
    )


CRAZYFLIE = _task(
    'crazyflie',
    ('z', 'roll', 'pitch', 'yaw'),
    {'control_x': 3.0, 'control_y': 3.0, 'control_z': 400.0},
    0.1,
)
TURTLE = _task('turtle', ('x', 'y', 'yaw', 'v_x', 'yaw_rate'), {'speed': 2.0, 'turn': 2.0}, 0.05)
