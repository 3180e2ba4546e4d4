# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an agent and a bridge must know of a robot and its job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gymnasium
import numpy as np
from torch import Tensor

from loop_ros.types import Array


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
    rebuilt from states and commands.
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
    default_d0: float
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

    def normalize_action(self, action: Array) -> Array:
        """Scale an action [..., A] from physical units to [-1, 1]."""
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        return 2.0 * (action - low) / (high - low) - 1.0

    def denormalize_action(self, action: Array) -> Array:
        """Scale an action [..., A] from [-1, 1] to physical units, inside the limits."""
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        return np.clip(low + 0.5 * (action + 1.0) * (high - low), low, high)


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
