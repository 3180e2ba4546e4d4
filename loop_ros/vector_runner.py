# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An agent and several copies of its environment in one process, all planned for in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from loop_ros.agent import Agent
from loop_ros.runner import Episode
from loop_ros.sim.task import Task
from loop_ros.together import act_together
from loop_ros.types import Array, Flags, Transition


class VectorRunner:
    """Copies of the task's environment in step; an episode that ends makes room for the next."""

    def __init__(self, agent: Agent, robots: Sequence[Task], seed: int, first_episode: int) -> None:
        """Of each of `robots` a copy: the agent's task, which may differ in its environment.

        Copy i is reset with `seed + i`; episodes are numbered from `first_episode`.
        """
        self.agent, num = agent, len(robots)
        self.robots = [agent, *(agent.another(seed + i) for i in range(1, num))]
        makers = [robot.make for robot in robots]
        self._envs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.DISABLED)
        self._started = first_episode
        self._observations = self._reset(np.ones(num, dtype=np.bool_), seed)
        self._episodes = [self._episode(i) for i in range(num)]

    def step(
        self, explore: bool = False, on_transition: Callable[[Transition], None] | None = None
    ) -> list[Episode]:
        """One step of every copy; the episodes that it ended. See `runner.run_episode`."""
        for robot in self.robots:
            robot.version = self.agent.version
        plans = act_together(self.robots, list(self._observations), explore)
        actions = np.array([plan.action for plan in plans])
        observations, rewards, terminated, truncated, info = self._envs.step(actions)
        costs = info.get('cost', np.zeros(len(plans)))
        before, self._observations = self._observations, observations.astype(np.float64)
        for i, (episode, plan) in enumerate(zip(self._episodes, plans, strict=True)):
            number = len(episode.rewards)
            transition = Transition(
                stamp=number * self.agent.task.control_period,
                episode=episode.index,
                step=number,
                observation=before[i],
                action=plan.action,
                reward=float(rewards[i]),
                cost=float(costs[i]),
                next_observation=self._observations[i],
                terminated=bool(terminated[i]),
                truncated=bool(truncated[i]),
            )
            episode.add(plan, transition)
            if on_transition is not None:
                on_transition(transition)
        return self._renew(terminated | truncated)

    def _renew(self, ended: Flags) -> list[Episode]:
        """Start another episode where one ended; those that did."""
        if not ended.any():
            return []
        found = [self._episodes[i] for i in np.flatnonzero(ended)]
        self._observations = self._reset(ended)
        for i in np.flatnonzero(ended):
            self.robots[i].reset()
            self._episodes[i] = self._episode(i)
        return found

    def _reset(self, where: Flags, seed: int | None = None) -> Array:
        observations, _ = self._envs.reset(seed=seed, options={'reset_mask': where})
        return observations.astype(np.float64)

    def _episode(self, i: int) -> Episode:
        self._started += 1
        return Episode(self._started - 1, [self._observations[i]])
