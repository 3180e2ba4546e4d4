# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Control periods of a robot become transitions; what is between them is never one."""

from __future__ import annotations

import torch

from loop_ros.sim.task import Task
from loop_ros.types import Array, Transition

TOLERANCE = 0.25  # of a control period, by which a step may be longer or shorter


class Episodes:
    """Numbered transitions by the task's own reward, cost and termination."""

    def __init__(self, task: Task) -> None:
        """ValueError for a task without a reward function."""
        if task.reward is None:
            raise ValueError(f"task '{task.name}' has no reward function to judge a robot's steps")
        self._task = task
        self.episode = self.step = 0
        self.gaps = 0  # times that an episode was cut by a missing or late state
        self._since_start = 0  # steps, also of what gaps cut off
        self._last: tuple[float, Array] | None = None  # s, [O]

    def begin(self) -> None:
        """The next state is the first of another episode."""
        self._since_start = 0
        self._cut()

    def gap(self) -> None:
        """A state is missing: the next one has no known past.

        Its transitions are another episode's; how long the robot may take goes on counting.
        """
        self.gaps += self.step > 0
        self._cut()

    def observe(
        self, stamp: float, observation: Array, executed: Array | None, end: bool = False
    ) -> Transition | None:
        """The transition that ends with the state [O] of `stamp` (s), if there is one.

        `executed` [A] is what the robot did since the last state; `end` cuts the episode here.
        A terminated or truncated transition ends the episode; the next state begins another.
        """
        last = self._last
        if last is not None and not self._is_next(stamp - last[0]):
            self.gap()
            last = None
        self._last = stamp, observation
        if last is None or executed is None:
            return None
        transition = self._judged(*last, executed, observation, end)
        self.step, self._since_start = self.step + 1, self._since_start + 1
        if transition.terminated or transition.truncated:
            self.begin()
        return transition

    def _cut(self) -> None:
        if self.step:
            self.episode, self.step = self.episode + 1, 0
        self._last = None

    def _is_next(self, elapsed: float) -> bool:
        period = self._task.control_period
        return abs(elapsed - period) <= TOLERANCE * period

    def _judged(
        self, stamp: float, before: Array, action: Array, after: Array, end: bool
    ) -> Transition:
        task = self._task
        step = (torch.from_numpy(part) for part in (before, action, after))
        reward, cost, terminates = task.judge(*step)
        terminated = bool(terminates)
        last = end or self._since_start + 1 >= task.max_episode_steps
        return Transition(
            stamp=stamp,
            episode=self.episode,
            step=self.step,
            observation=before,
            action=action,
            reward=float(reward),
            cost=float(cost),
            next_observation=after,
            terminated=terminated,
            truncated=last and not terminated,
        )
