# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An agent and an environment in one process, without ROS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch

from loop_ros.agent import Agent
from loop_ros.settings import PlannerSettings
from loop_ros.sim.simulation import step
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan, Transition


@dataclass
class Episode:
    """What one episode was like."""

    index: int
    observations: list[Array] = field(default_factory=list)  # [T+1] of [O]
    plans: list[Plan] = field(default_factory=list)  # [T]
    rewards: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def add(self, plan: Plan, transition: Transition) -> None:
        """One step more."""
        self.observations.append(transition.next_observation)
        self.plans.append(plan)
        self.rewards.append(transition.reward)
        self.costs.append(transition.cost)

    def row(self, task: Task) -> dict[str, float]:
        """Its metrics by name; the task's own are means over the states that steps led to.

        `cost` is the environment's own, `planner_cost` the one that the planner knows.
        """
        predicted = [plan for plan in self.plans if plan.predicted]
        metrics = [task.metrics(observation) for observation in self.observations[1:]]
        return {
            'episode': self.index,
            'steps': len(self.rewards),
            'return': float(sum(self.rewards)),
            'cost': float(sum(self.costs)),
            **self._planner_cost(task),
            **{f'mean_{name}': float(np.mean([m[name] for m in metrics])) for name in metrics[0]},
            'plan_ms': 1e3 * float(np.median([plan.plan_s for plan in self.plans])),
            'worst_cost': _mean([plan.worst_cost for plan in predicted]),
            'safe_fraction': _mean([plan.safe_fraction for plan in predicted]),
            'predicted_return': _mean([plan.predicted_return for plan in predicted]),
            'actor_divergence': float(np.mean([plan.actor_divergence for plan in self.plans])),
        }

    def _planner_cost(self, task: Task) -> dict[str, float]:
        if task.cost is None:
            return {}
        observations = torch.as_tensor(np.array(self.observations[1:]), dtype=torch.float64)
        return {'planner_cost': float(task.cost(task.encode(observations)).sum())}


def run_episode(
    env: gymnasium.Env[Any, Any],
    agent: Agent,
    index: int,
    seed: int | None = None,
    explore: bool = False,
    on_transition: Callable[[Transition], None] = lambda transition: None,
) -> Episode:
    """Drive one episode from `env.reset(seed=seed)` until it is terminated or truncated.

    Its transitions have the episode number `index` and stamps that start at 0 s; `on_transition`
    gets each as it happens. `explore`: as in `Agent.act`.
    """
    episode = Episode(index)
    observation, _ = env.reset(seed=seed)
    agent.reset()
    episode.observations.append(observation)
    ended = False
    while not ended:
        plan = agent.act(observation, explore)
        number = len(episode.rewards)
        stamp = number * agent.task.control_period
        transition = step(env, observation, plan.action, index, number, stamp)
        on_transition(transition)
        episode.add(plan, transition)
        observation = transition.next_observation
        ended = transition.terminated or transition.truncated
    return episode


def cost_ahead(costs: Array, planner: PlannerSettings) -> Array:
    """From each step that has H - 1 after it: the cost of the next H, discounted as a plan's.

    [T] -> [T - H + 1], or of no step where T < H.
    """
    if len(costs) < planner.horizon:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(costs, planner.horizon)
    found: Array = windows @ planner.discount ** np.arange(planner.horizon)
    return found


def _mean(values: list[float]) -> float:
    """NaN where there are none."""
    return float(np.mean(values)) if values else math.nan
