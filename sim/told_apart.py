# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A task for robots that differ: its models are told which of them they predict.

`drift_car@4` is the task `drift_car` for four of them. Its observation ends with the robot's
number, 1 to 4, and its state with a 1 in that robot's place. 0 is a robot that is none of them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from loop_ros.sim import disturbed
from loop_ros.sim.task import FUNCTIONS, MARK, Task
from loop_ros.types import Array

LABEL = 'robot'  # of the observation
MOST = 1000


class Numbered(gymnasium.Wrapper[Array, Array, Array, Array]):
    """The number of the robot at the end of each observation."""

    def __init__(self, env: gymnasium.Env[Array, Array], number: int) -> None:
        super().__init__(env)
        self._number = number
        space: Any = env.observation_space
        low, high = np.append(space.low, 0.0), np.append(space.high, MOST)
        self.observation_space = gymnasium.spaces.Box(low, high, dtype=np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return np.append(observation, self._number), info

    def step(self, action: Array) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Hold an action for one control period."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return np.append(observation, self._number), reward, terminated, truncated, info


class _Functions:
    """Those of a task that give or take the number of the robot."""

    def __init__(self, task: Task, robots: int) -> None:
        self.own, self.size = task, task.state_dim
        self.numbers = torch.arange(1, robots + 1)

    def encode(self, observation: Tensor) -> Tensor:
        is_own = observation[..., -1:] == self.numbers.to(observation.device)
        state = self.own.encode(observation[..., :-1])
        return torch.cat((state, is_own.to(state.dtype)), dim=-1)

    def decode(self, state: Tensor) -> Tensor:
        number = (state[..., self.size :].round() * self.numbers.to(state)).sum(-1, keepdim=True)
        return torch.cat((_given(self.own.decode)(state[..., : self.size]), number), dim=-1)

    def predictable_next_state(self, state: Tensor, next_state: Tensor) -> Tensor:
        predictable = _given(self.own.predictable_next_state)
        found = predictable(state[..., : self.size], next_state[..., : self.size])
        return torch.cat((found, next_state[..., self.size :]), dim=-1)

    def environment(self, number: int = 1, **options: Any) -> Numbered:
        return Numbered(self.own.make(**options), number)


@functools.cache  # the same task each time, so that tasks can be compared
def tell_apart(task: Task, robots: str) -> Task:
    """The task for so many robots; ValueError where `robots` is no number of them."""
    num = int(robots) if robots.isdecimal() else 0
    if not 1 <= num <= MOST:
        name = f'{task.name}{MARK}{robots}'
        raise ValueError(f"task '{name}': behind {MARK} stands a number of robots, 1 to {MOST}")
    functions, drawing = _Functions(task, num), task.drawing
    seen, state = len(task.observation_labels), task.state_dim
    cut: dict[str, tuple[int | None, ...]] = {
        **dict.fromkeys(('cost', 'termination', 'goal_resampled'), (state,)),
        **{'metrics': (seen,), 'reward': (seen, None, seen), 'path': (seen, state)},
    }
    changed: dict[str, Any] = {
        name: _cut(own, *cut[name]) if name in cut else getattr(functions, name)
        for name in FUNCTIONS
        if (own := getattr(task, name)) is not None
    }
    if drawing.around is not None:
        drawing = dataclasses.replace(drawing, around=_cut(drawing.around, seen))
    return dataclasses.replace(
        task,
        name=f'{task.name}{MARK}{num}',
        robots=num,
        observation_labels=(*task.observation_labels, LABEL),
        odometry=False,  # which has no place for the number
        state_dim=task.state_dim + num,
        drawing=drawing,
        **changed,
    )


def robot(task: Task, number: int, disturbances: str = 'none') -> Task:
    """The task on its robot `number`, counted from 1, with disturbances (`disturbed.changed`).

    Where the task tells no robots apart, all have the same one. ValueError for a number that the
    task has no robot of, and where it has no such disturbance.
    """
    if task.robots and not 0 <= number <= task.robots:
        raise ValueError(f"task '{task.name}' tells robots 1 to {task.robots} apart, not {number}")
    task = disturbed.changed(task, disturbances)
    if task.robots and task.environment is not None:
        numbered = functools.partial(task.environment, number=number)
        task = dataclasses.replace(task, environment=numbered)
    return task


def _cut(function: Callable[..., Any], *sizes: int | None) -> Callable[..., Any]:
    """The function of arguments [..., n], of each of which it sees the first so many; None: all."""

    def own(*arguments: Any) -> Any:
        return function(*(a[..., :size] for a, size in zip(arguments, sizes, strict=True)))

    return own


def _given(function: Callable[..., Any] | None) -> Callable[..., Any]:
    """Of a task that has it."""
    assert function is not None
    return function
