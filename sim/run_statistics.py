# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of an episode and of a run, and the lines that show them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loop_ros.types import Transition


def mean(values: Sequence[float]) -> float:
    """The mean of values; NaN where there are none."""
    return sum(values) / len(values) if values else math.nan


class RunStatistics:
    """Takes transitions and plan times in, gives one line per episode and a summary."""

    def __init__(self) -> None:
        self._d0 = self._last_plan_s = math.nan
        self._returns: list[float] = []
        self._costs: list[int] = []
        self._planning_s, self._plans = 0.0, 0
        self._begin()

    def plan(self, plan_s: float, d0: float) -> None:
        """A plan took `plan_s` s with the threshold `d0`; the same one again does not count.

        NaN stands for no plan, or no threshold.
        """
        if not math.isnan(d0):
            self._d0 = d0
        if math.isnan(plan_s) or plan_s == self._last_plan_s:
            return
        self._last_plan_s = plan_s
        self._plan_times.append(plan_s)
        self._planning_s, self._plans = self._planning_s + plan_s, self._plans + 1

    def step(
        self, transition: Transition, metrics: dict[str, float], planner_cost: float | None = None
    ) -> str | None:
        """Count a step and the task's metrics of where it led; the line of an episode that ends.

        `planner_cost` is what the planner would count for the step, where that is not the
        environment's own signal; the line then shows the sums of both.
        """
        self._return += transition.reward
        self._cost += transition.cost
        self._planner_cost += math.nan if planner_cost is None else planner_cost
        self._cost_steps += int(transition.cost > 0)
        for name, value in metrics.items():
            self._metrics.setdefault(name, []).append(value)
        if not (transition.terminated or transition.truncated):
            return None
        line = self._line(transition.episode)
        self._returns.append(self._return)
        self._costs.append(self._cost_steps)
        self._begin()
        return line

    def progress(self) -> str:
        """The running episode in a few words."""
        return f'return {self._return:.1f}, {self._cost_steps} steps with cost'

    def summary(self) -> str:
        """The last line of a run, over its whole episodes."""
        return (
            f'summary: episodes={len(self._returns)} mean_return={mean(self._returns):.2f} '
            f'cost_steps={sum(self._costs)} plan_hz={self._rate(self._planning_s, self._plans):.1f}'
        )

    def _begin(self) -> None:
        self._return, self._cost, self._cost_steps = 0.0, 0.0, 0
        self._planner_cost = 0.0  # NaN where there is none
        self._metrics: dict[str, list[float]] = {}
        self._plan_times: list[float] = []

    def _line(self, episode: int) -> str:
        metrics = ''.join(
            f'mean_{name}={mean(values):.2f} ' for name, values in self._metrics.items()
        )
        costs = ''
        if not math.isnan(self._planner_cost):
            costs = f'cost={self._cost:g} planner_cost={self._planner_cost:g} '
        rate = self._rate(sum(self._plan_times), len(self._plan_times))
        return (
            f'episode={episode} return={self._return:.1f} cost_steps={self._cost_steps} {costs}'
            f'{metrics}plan_hz={rate:.1f} d0={self._d0:.2f}'
        )

    @staticmethod
    def _rate(seconds: float, count: int) -> float:
        return count / seconds if seconds > 0 else math.nan
