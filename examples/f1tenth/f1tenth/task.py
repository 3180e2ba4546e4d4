# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drive as fast as the tyres allow: what the planner must know of the car."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.task import Task
from loop_ros.types import Array

CONTROL_PERIOD = 0.1  # s; the slowest of the recordings has an odometry at 18 Hz
LIMIT_ACCELERATION = 6.0  # m/s^2 to the side; beyond it costs 1 a step
# What was commanded last is part of what the car will do next: the steering answers 0.15 s late.
OBSERVATION = ('x', 'y', 'yaw', 'v_x', 'yaw_rate', 'last_speed', 'last_steering')


def encode(observation: Tensor) -> Tensor:
    """Velocities and last command; [..., 7] -> [..., 4]. Where the car is changes nothing."""
    return observation[..., 3:]


def decode(state: Tensor) -> Tensor:
    """The observation of a state at the origin; [..., 4] -> [..., 7]."""
    return torch.cat((torch.zeros_like(state[..., :3]), state), dim=-1)


def cost(state: Tensor) -> Tensor:
    """1 where the car turns too hard for its speed, else 0; [..., 4] -> [...]."""
    return ((state[..., 0] * state[..., 1]).abs() > LIMIT_ACCELERATION).to(state.dtype)


def reward(observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
    """The speed that was reached, m/s; [..., 7] -> [...]."""
    return next_observation[..., 3]


def path(observation: Array, states: Array) -> Array:
    """Predicted states [H+1, 4] as poses (x, y, yaw) [H+1, 3], from where the car is."""
    speed, rate = states[:, 0], states[:, 1]
    turned = 0.5 * CONTROL_PERIOD * (rate[1:] + rate[:-1])
    yaw = observation[2] + np.concatenate(([0.0], np.cumsum(turned)))
    step = 0.5 * CONTROL_PERIOD * (speed[1:] + speed[:-1])
    middle = yaw[:-1] + 0.5 * turned
    x = observation[0] + np.concatenate(([0.0], np.cumsum(step * np.cos(middle))))
    y = observation[1] + np.concatenate(([0.0], np.cumsum(step * np.sin(middle))))
    return np.stack((x, y, yaw), axis=-1)


def metrics(observation: Array) -> dict[str, float]:
    """Speed (m/s) and acceleration to the side (m/s^2), for people."""
    speed, rate = float(observation[3]), float(observation[4])
    return {'speed': speed, 'side_acceleration': abs(speed * rate)}


TASK = Task(
    name='f1tenth',
    observation_labels=OBSERVATION,
    action_labels=('speed', 'steering'),
    action_interfaces=('velocity', 'position'),
    action_low=(-5.0, -0.34),
    action_high=(5.0, 0.34),
    control_period=CONTROL_PERIOD,
    max_episode_steps=50,
    safe_command=(0.0, 0.0),
    default_d0=0.2,
    state_dim=4,
    encode=encode,
    decode=decode,
    metrics=metrics,
    cost=cost,
    cost_is_exact=True,
    path=path,
    reward=reward,
    profile=str(Path(__file__).with_name('profile.yaml')),
)
