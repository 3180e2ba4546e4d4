# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's locomotion tasks: gymnasium's MuJoCo environments, version 4.

Ant is without contact forces (the default of version 4) and Humanoid without inertias, actuator and
contact forces, as in MBPO and its line of work: 27 and 45 numbers of positions and velocities.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.task import Task, simulators
from loop_ros.types import Array

ROOT_3D = ('root_z', 'root_qw', 'root_qx', 'root_qy', 'root_qz')
ROOT_3D_VELOCITY = tuple(
    f'root_{name}' for name in ('v_x', 'v_y', 'v_z', 'rate_x', 'rate_y', 'rate_z')
)
ANT_JOINTS = tuple(f'{joint}_{leg}' for leg in (1, 2, 3, 4) for joint in ('hip', 'ankle'))
HUMANOID_JOINTS = (
    *('abdomen_z', 'abdomen_y', 'abdomen_x'),
    *(f'right_{joint}' for joint in ('hip_x', 'hip_z', 'hip_y', 'knee')),
    *(f'left_{joint}' for joint in ('hip_x', 'hip_z', 'hip_y', 'knee')),
    *('right_shoulder1', 'right_shoulder2', 'right_elbow'),
    *('left_shoulder1', 'left_shoulder2', 'left_elbow'),
)


class Locomotion(gymnasium.Wrapper[Array, Array, Array, Array]):
    """A gymnasium environment with this project's observation, as far as the task names it."""

    def __init__(self, name: str, size: int, **kwargs: Any) -> None:
        with simulators(name), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # version 4 is the one of the published results
            env = gymnasium.make(f'{name}-v4', disable_env_checker=True, **kwargs)
        super().__init__(env)
        self._size = size
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._own(observation), info

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold `action` (clipped to its limits) for one control period."""
        space = self.action_space
        assert isinstance(space, gymnasium.spaces.Box)
        action = np.clip(action, space.low, space.high)
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._own(observation), float(reward), terminated, truncated, {**info, 'cost': 0.0}

    def _own(self, observation: Array) -> Array:
        return np.array(observation[: self._size], dtype=np.float64)


def _same(observation: Tensor) -> Tensor:
    return observation


def _forward_velocity(index: int) -> Callable[[Array], dict[str, float]]:
    return lambda observation: {'velocity': float(observation[index])}


def _outside(index: int, low: float, high: float) -> Callable[[Tensor], Tensor]:
    """Where a number of the state is not inside an open interval."""
    return lambda state: ~((state[..., index] > low) & (state[..., index] < high))


def _any(*tests: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda state: torch.stack([test(state) for test in tests]).any(dim=0)


def _hopper_fell(state: Tensor) -> Tensor:
    """Height, pitch, or any other number out of bounds, as gymnasium's Hopper has it."""
    wild = ~(state[..., 1:].abs() < 100).all(dim=-1)
    return wild | _any(_outside(0, 0.7, torch.inf), _outside(1, -0.2, 0.2))(state)


def _task(
    name: str,
    labels: tuple[str, ...],
    actions: tuple[str, ...],
    control_period: float,
    metrics: Callable[[Array], dict[str, float]],
    limit: float = 1.0,
    termination: Callable[[Tensor], Tensor] | None = None,
) -> Task:
    return Task(
        name=name,
        observation_labels=labels,
        action_labels=actions,
        action_interfaces=('effort',) * len(actions),
        action_low=(-limit,) * len(actions),
        action_high=(limit,) * len(actions),
        control_period=control_period,
        max_episode_steps=1000,
        safe_command=(0.0,) * len(actions),
        default_d0=0.0,
        state_dim=len(labels),
        encode=_same,
        metrics=metrics,
        termination=termination,
        profile='mujoco',
        environment=functools.partial(Locomotion, name, len(labels)),
    )


def _planar(*joints: str) -> tuple[str, ...]:
    """Positions and velocities of a chain in a plane; how far it has come is left out."""
    chain = ('root_z', 'root_pitch', *joints)
    return (*chain, *_velocities('root_x', *chain))


def _floating(*joints: str) -> tuple[str, ...]:
    """Positions and velocities of a free body with joints, as MuJoCo orders them."""
    return (*ROOT_3D, *joints, *ROOT_3D_VELOCITY, *_velocities(*joints))


def _velocities(*joints: str) -> tuple[str, ...]:
    return tuple(f'{joint}_velocity' for joint in joints)


_LEG = ('thigh', 'leg', 'foot')
_LEGS = (*_LEG, *(f'{joint}_left' for joint in _LEG))
_CHEETAH = ('bthigh', 'bshin', 'bfoot', 'fthigh', 'fshin', 'ffoot')
_SWIMMER = ('root_yaw', 'motor1', 'motor2')

TASKS = {
    'InvertedPendulum': _task(
        'InvertedPendulum',
        labels=('slider', 'hinge', *_velocities('slider', 'hinge')),
        actions=('slider',),
        limit=3.0,
        control_period=0.04,
        metrics=lambda observation: {'angle': float(abs(observation[1]))},
        termination=lambda state: ~(state[..., 1].abs() <= 0.2),
    ),
    'Hopper': _task(
        'Hopper',
        labels=_planar(*_LEG),
        actions=_LEG,
        control_period=0.008,
        metrics=_forward_velocity(5),
        termination=_hopper_fell,
    ),
    'HalfCheetah': _task(
        'HalfCheetah',
        labels=_planar(*_CHEETAH),
        actions=_CHEETAH,
        control_period=0.05,
        metrics=_forward_velocity(8),
    ),
    'Walker2d': _task(
        'Walker2d',
        labels=_planar(*_LEGS),
        actions=_LEGS,
        control_period=0.008,
        metrics=_forward_velocity(8),
        termination=_any(_outside(0, 0.8, 2.0), _outside(1, -1.0, 1.0)),
    ),
    'Ant': _task(
        'Ant',
        labels=_floating(*ANT_JOINTS),
        actions=(*ANT_JOINTS[6:], *ANT_JOINTS[:6]),  # the model's motors begin with leg 4
        control_period=0.05,
        metrics=_forward_velocity(13),
        termination=lambda state: (
            ~((state[..., 0] >= 0.2) & (state[..., 0] <= 1.0) & state.isfinite().all(dim=-1))
        ),
    ),
    'Swimmer': _task(
        'Swimmer',
        labels=(*_SWIMMER, *_velocities('root_x', 'root_y', *_SWIMMER)),
        actions=('motor1', 'motor2'),
        control_period=0.04,
        metrics=_forward_velocity(3),
    ),
    'Humanoid': _task(
        'Humanoid',
        labels=_floating(*HUMANOID_JOINTS),
        actions=('abdomen_y', 'abdomen_z', *HUMANOID_JOINTS[2:]),  # in the order of its motors
        limit=0.4,
        control_period=0.015,
        metrics=_forward_velocity(22),
        termination=_outside(0, 1.0, 2.0),
    ),
}
