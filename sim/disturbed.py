# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots that are not quite the one that an agent learned on: one disturbance at a time."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from dataclasses import dataclass
from typing import Any, Self

import gymnasium
import numpy as np

from loop_ros.sim import drift_car, safety_gym_tasks
from loop_ros.sim.task import MARK, Task
from loop_ros.types import Array

KINDS = {
    'none': 'the robot as it was learned',
    'friction': "factor on the ground's friction; PointGoal1 and CarGoal1: on joint damping too",
    'mass': 'factor on mass and inertia, and with them on the loads of the axles',
    'delay': 'control steps that a command waits; the safe command goes before the first one',
    'noise': "factor on the sensors' noise, standard deviations in SENSOR_NOISE",
}
DEFAULT = (
    *('none', 'friction=0.7', 'friction=0.85', 'friction=1.15', 'friction=1.3', 'mass=1.2'),
    *('delay=1', 'delay=2', 'delay=3', 'noise=1', 'noise=3'),
)

_GOAL_NOISE = {  # fields 0.01 of 0.5: 0.02 rad of heading
    **dict.fromkeys(safety_gym_tasks.LABELS, 0.01),  # m
    **{'v_x': 0.05, 'v_y': 0.05, 'yaw_rate': 0.1},
}
# Standard deviation of each sensor at noise=1. These tasks can also be given friction and mass.
SENSOR_NOISE: dict[str, dict[str, float]] = {
    drift_car.TASK.name: {  # m, m, rad, m/s, m/s, rad/s
        **{'x': 0.01, 'y': 0.01, 'yaw': 0.02, 'v_x': 0.05, 'v_y': 0.05, 'yaw_rate': 0.1},
    },
    **dict.fromkeys(safety_gym_tasks.TASKS, _GOAL_NOISE),
}


@dataclass(frozen=True)
class Disturbance:
    """What is different, and how much: see `KINDS`."""

    kind: str = 'none'
    size: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `none` or KIND=SIZE as in friction=0.7; ValueError otherwise."""
        kind, _, size = text.partition('=')
        try:
            found = cls(kind, float(size or 0.0))
        except ValueError:
            found = cls('')
        whole = kind != 'delay' or found.size.is_integer()
        sized = found.size == 0 if kind == 'none' else 0 < found.size <= 100
        if found.kind not in KINDS or not (whole and sized):
            choices = ', '.join(DEFAULT)
            raise ValueError(f'disturbance {text!r}: write {choices}, or another size up to 100')
        return found

    def __str__(self) -> str:
        return self.kind if self.kind == 'none' else f'{self.kind}={self.size:g}'


class Disturbed(gymnasium.Wrapper[Array, Array, Array, Array]):
    """Commands come late, sensors err; `states` keeps the episode's true observations [T+1, O]."""

    def __init__(
        self, env: gymnasium.Env[Array, Array], task: Task, delay: int, noise: Array | float
    ) -> None:
        """`delay` in control steps; `noise` [O] is a standard deviation in the sensors' units."""
        super().__init__(env)
        self.states: list[Array] = []
        self._safe = np.array(task.safe_command)
        self._delay, self._noise = delay, noise
        self._waiting: deque[Array] = deque()
        self._rng = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode; the seed is the noise's too."""
        if seed is not None:
            self._rng = np.random.default_rng((seed, 1))  # not the numbers that draw the start
        observation, info = self.env.reset(seed=seed, options=options)
        self._waiting = deque([self._safe] * self._delay)
        self.states = [observation]
        return self._sensed(observation), info

    def step(self, action: Array) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        """Carry out the command of `delay` steps ago."""
        self._waiting.append(action)
        waited = self._waiting.popleft()
        observation, reward, terminated, truncated, info = self.env.step(waited)
        self.states.append(observation)
        return self._sensed(observation), reward, terminated, truncated, info

    def _sensed(self, observation: Array) -> Array:
        return observation + self._noise * self._rng.standard_normal(observation.shape)


def make(task: Task, disturbance: Disturbance, **options: Any) -> Disturbed:
    """A fresh environment with the disturbance; ValueError where the task has no such thing.

    `options` go to the environment's constructor.
    """
    kind, size = disturbance.kind, disturbance.size
    name = task.name.partition(MARK)[0]
    if kind not in ('none', 'delay') and name not in SENSOR_NOISE:
        known = ', '.join(SENSOR_NOISE)
        raise ValueError(f'{name} has no {kind} to change; {known} have')
    factors = {kind: size} if kind in ('friction', 'mass') else {}
    noise: Array | float = 0.0
    if kind == 'noise':
        sensors = SENSOR_NOISE[name]
        noise = size * np.array([sensors.get(label, 0.0) for label in task.observation_labels])
    delay = int(size) if kind == 'delay' else 0
    return Disturbed(task.make(**factors, **options), task, delay, noise)


def changed(task: Task, disturbances: str) -> Task:
    """The task on a robot with disturbances, as in friction=0.9+delay=1; ValueError as `make`."""
    for text in disturbances.split('+'):
        disturbance = Disturbance.parse(text)
        if disturbance.kind != 'none':
            environment = functools.partial(make, task, disturbance)
            task = dataclasses.replace(task, environment=environment)
    return task
