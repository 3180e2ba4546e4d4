# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an agent and a bridge must know of a robot and its job."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from loop_ros import planar
from loop_ros.sim.drawing import Drawing
from loop_ros.types import Array

MARK = '@'  # between a name and how many robots it tells apart (`told_apart`)
INTERFACES = ('position', 'velocity', 'effort')
LABELLED = {'observation_labels': 'observation', 'action_labels': 'action'}
TEXTS = (*LABELLED, 'action_interfaces')
EACH_ACTION = ('action_interfaces', 'action_low', 'action_high', 'safe_command')
FUNCTIONS = (
    *('encode', 'metrics', 'cost', 'termination', 'predictable_next_state', 'goal_resampled'),
    *('reward', 'decode', 'path', 'environment'),
)


@dataclass(frozen=True)
class Task:
    """A robot's interface and objective; shapes: O observation, S model state, A action, H horizon.

    Limits and commands are in physical units (SI, REP 103); inside the planner actions are
    scaled to [-1, 1]. `encode` maps the robot's observation to the state that the networks see;
    `cost` is the known safety cost of such states where there is one, else None; `path` draws
    predicted states as (x, y, yaw) in the `odom` frame. `termination` says which next states end
    an episode; None where none does. Where an environment draws something at random between two
    steps, as a new goal, `goal_resampled` says after which states, and `predictable_next_state`
    gives the next state without it: what a model can learn. `decode` gives one of the observations
    that encode to a state; None where they are the same. `reward` is the environment's own, of
    observation, action and next observation, where these determine it: transitions can then be
    rebuilt from states and commands. `environment` makes the simulation; None: a robot alone.

    `name` is what bags, checkpoints and weights carry. docs/task.md shows how to fill one in.
    ValueError says everything that is wrong with the values.
    """

    name: str
    observation_labels: tuple[str, ...]
    action_labels: tuple[str, ...]
    action_interfaces: tuple[str, ...]  # 'velocity', 'position' or 'effort', one per action
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    control_period: float  # s
    max_episode_steps: int
    safe_command: tuple[float, ...]
    default_d0: float  # safety threshold where nobody sets one
    state_dim: int
    encode: Callable[[Tensor], Tensor]  # [..., O] -> [..., S]
    metrics: Callable[[Array], dict[str, float]]  # [O] -> named metrics for people
    cost: Callable[[Tensor], Tensor] | None = None  # [..., S] -> [...]
    cost_is_exact: bool = False  # `cost` is the environment's own signal, not a stand-in for it
    termination: Callable[[Tensor], Tensor] | None = None  # [..., S] -> [...] bool
    predictable_next_state: Callable[[Tensor, Tensor], Tensor] | None = (
        None  # two [..., S] -> [..., S]
    )
    goal_resampled: Callable[[Tensor], Tensor] | None = None  # [..., S] -> [...] bool
    reward: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None  # [..., O], A, O -> [...]
    decode: Callable[[Tensor], Tensor] | None = None  # [..., S] -> [..., O]
    path: Callable[[Array, Array], Array] | None = None  # [O], [H+1, S] -> [H+1, 3]
    odometry: bool = False  # the state travels as nav_msgs/Odometry instead of JointState
    profile: str = 'paper'  # settings: name of a shipped profile, or path of a YAML file
    environment: Callable[..., gymnasium.Env[Any, Any]] | None = None
    drawing: Drawing = Drawing()
    robots: int = 0  # that its states tell apart (`told_apart`); 0: they are all one

    def __post_init__(self) -> None:
        """Make tuples of lists, so that tasks can be compared; then check everything."""
        for name in (*LABELLED, *EACH_ACTION):
            value = getattr(self, name)
            if not isinstance(value, str):
                with contextlib.suppress(TypeError):
                    object.__setattr__(self, name, tuple(value))
        wrong = [*_wrong_types(self)] or [*_wrong_labels(self), *_wrong_values(self)]
        if wrong:
            raise ValueError(f"task '{self.name}': {'; '.join(wrong)}")

    @property
    def draws_plane(self) -> bool:
        """Whether there is a view from above."""
        return self.path is not None or self.drawing.follows_robot

    def make(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        """A new environment; keyword arguments go to its constructor.

        ValueError where there is no simulation, ImportError where its simulator is not installed.
        """
        if self.environment is None:
            raise ValueError(
                f"task '{self.name}' has no simulation (its environment is None): it drives a "
                'robot, and learns from bags of it (loop-ros train-offline, replay)'
            )
        return self.environment(**kwargs)

    def judge(
        self, observation: Tensor, action: Tensor, next_observation: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Reward, cost and whether an episode ends, [...] each, of steps between observations.

        Of [..., O], [..., A], [..., O]. ValueError where the task has no reward function.
        """
        if self.reward is None:
            raise ValueError(f"task '{self.name}' has no reward function to judge steps by")
        state = self.encode(next_observation)
        reward = self.reward(observation, action, next_observation)
        cost = torch.zeros_like(reward) if self.cost is None else self.cost(state)
        none = torch.zeros_like(reward, dtype=torch.bool)
        return reward, cost, none if self.termination is None else self.termination(state)

    def drawn_pose(self, observation: Array) -> Array:
        """Where `path` draws an observation [O]: x, y (m), yaw (rad), [3]; a task with a path."""
        assert self.path is not None
        state = self.encode(torch.as_tensor(observation, dtype=torch.float64)).numpy()
        pose: Array = self.path(observation, state[np.newaxis])[0]
        return pose

    def normalize_action(self, action: Array) -> Array:
        """Scale an action [..., A] from physical units to [-1, 1]."""
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        return 2.0 * (action - low) / (high - low) - 1.0

    def denormalize_action(self, action: Array) -> Array:
        """Scale an action [..., A] from [-1, 1] to physical units, inside the limits."""
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        return np.clip(low + 0.5 * (action + 1.0) * (high - low), low, high)


def _wrong_types(task: Task) -> Iterator[str]:
    """What keeps the other checks from being made."""
    if not isinstance(task.name, str) or not task.name or set(task.name) & set(':/, \t\n'):
        yield 'name is not a word without spaces, commas, colons and slashes'
    for name in (*LABELLED, *EACH_ACTION):
        value = getattr(task, name)
        if isinstance(value, str):
            yield f"{name} is the text '{value}': write ('{value}',) for a single one"
        elif not isinstance(value, tuple):
            yield f'{name} is {value!r}, not a tuple'
        elif not all(isinstance(item, str if name in TEXTS else Real) for item in value):
            yield f'{name} are not all {"texts" if name in TEXTS else "numbers"}'
    for name in ('control_period', 'default_d0', 'max_episode_steps', 'state_dim', 'robots'):
        kind = Real if name in ('control_period', 'default_d0') else Integral
        if not isinstance(getattr(task, name), kind):
            yield f'{name} is {getattr(task, name)!r}, not a {"whole " * (kind is Integral)}number'
    for name in FUNCTIONS:
        value = getattr(task, name)
        if not callable(value) and (value is not None or name in ('encode', 'metrics')):
            yield f'{name} is {value!r}, not a function'
    if not isinstance(task.profile, str) or not task.profile:
        yield 'profile is not the name of a profile or the path of a YAML file'


def _wrong_labels(task: Task) -> Iterator[str]:
    for name, what in LABELLED.items():
        labels = getattr(task, name)
        if not labels:
            yield f'no {what} is labelled'
        for label in sorted({label for label in labels if labels.count(label) > 1}):
            yield f"{name} has '{label}' twice"
        for label in labels:
            if not label or ',' in label:  # a comma stands between labels in bags
                yield f"{name} has '{label}': a label has no comma and is not empty"
    if task.odometry:
        unknown = [label for label in task.observation_labels if label not in planar.FIELDS]
        if unknown:
            yield (
                f'an odometry gives {", ".join(planar.FIELDS)}, not {", ".join(unknown)}: choose '
                'of these, or set odometry=False'
            )


def _wrong_values(task: Task) -> Iterator[str]:
    count = len(task.action_labels)
    lengths = {name: len(getattr(task, name)) for name in EACH_ACTION}
    for name, length in lengths.items():
        if length != count:
            yield f'{name} has {length} values for {count} actions'
    for interface in task.action_interfaces:
        if interface not in INTERFACES:
            yield f"action interface '{interface}' is none of {', '.join(INTERFACES)}"
    if all(length == count for length in lengths.values()):
        yield from _wrong_limits(task)
    if not 0 < task.control_period < math.inf:
        yield f'control_period is {task.control_period} s, not above 0'
    if not 0 <= task.default_d0 < math.inf:
        yield f'default_d0 is {task.default_d0}, below 0 or not finite'
    for name in ('max_episode_steps', 'state_dim'):
        if getattr(task, name) < 1:
            yield f'{name} is {getattr(task, name)}, below 1'


def _wrong_limits(task: Task) -> Iterator[str]:
    for label, low, high, safe in zip(
        task.action_labels, task.action_low, task.action_high, task.safe_command, strict=True
    ):
        if not -math.inf < low < high < math.inf:
            yield f"limits of '{label}' are {low} and {high}: not finite, low below high"
        elif not low <= safe <= high:
            yield f"safe command of '{label}' is {safe}, outside {low} to {high}"


@contextlib.contextmanager
def simulators(task: str) -> Iterator[None]:
    """Around the import of a simulator: says how to get it where it is missing."""
    try:
        yield
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise ImportError(
            f"task '{task}' needs its simulator ({error}): pip install 'loop_ros[sim]', or see "
            'Installation in CONTRIBUTING.md'
        ) from error
