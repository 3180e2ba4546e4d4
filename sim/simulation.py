# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An environment as a source of numbered transitions on a clock of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import torch

from loop_ros.sim.task import Task
from loop_ros.types import Array, Transition

RESET_JUMP = 1_000_000_000  # ns that the clock jumps at a reset, so that a new episode shows


def step(
    env: gymnasium.Env[Any, Any],
    observation: Array,
    action: Array,
    episode: int,
    number: int,
    stamp: float,
) -> Transition:
    """Take step `number` of an episode from an observation [O] at `stamp` s by an action [A].

    The action is in physical units, inside the limits.
    """
    next_observation, reward, terminated, truncated, info = env.step(action)
    return Transition(
        stamp=stamp,
        episode=episode,
        step=number,
        observation=observation,
        action=action,
        reward=float(reward),
        cost=float(info.get('cost', 0.0)),
        next_observation=np.asarray(next_observation, dtype=np.float64),
        terminated=bool(terminated),
        truncated=bool(truncated),
    )


class Simulation:
    """Episodes one after the other; episode e starts from the seed `seed + e`."""

    def __init__(self, task: Task, env: gymnasium.Env[Any, Any], seed: int) -> None:
        self.clipped = 0  # commands outside the limits
        self.stamp = 0  # ns of simulated time, of the observation
        self.episode = self.step_number = 0
        self._task, self._env, self._seed = task, env, seed
        self._period = round(task.control_period * 1e9)
        self._ending = False
        self.observation = self._reset()

    def end_episode(self) -> None:
        """Let the running step be the episode's last."""
        self._ending = True

    def step(self, action: Array) -> Transition:
        """Hold an action [A] (clipped to the limits) for one control period."""
        limited = np.clip(action, self._task.action_low, self._task.action_high)
        self.clipped += int(not np.array_equal(limited, action))
        transition = step(
            self._env, self.observation, limited, self.episode, self.step_number, self.stamp / 1e9
        )
        if self._ending:
            transition = dataclasses.replace(transition, truncated=True)
        self.stamp += self._period
        self.step_number += 1
        self.observation = transition.next_observation
        if transition.terminated or transition.truncated:
            self.episode, self.step_number, self._ending = self.episode + 1, 0, False
            self.stamp += RESET_JUMP
            self.observation = self._reset()
        return transition

    def _reset(self) -> Array:
        observation, _ = self._env.reset(seed=self._seed + self.episode)
        return np.asarray(observation, dtype=np.float64)


def planner_cost(task: Task, observation: Array) -> float | None:
    """What the planner counts for an observation [O], if that is not the environment's own cost."""
    if task.cost is None or task.cost_is_exact:
        return None
    return float(task.cost(task.encode(torch.from_numpy(observation))))
