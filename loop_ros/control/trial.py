# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New weights are tried on what the robot did last, before it is driven by them.

Twice: on the recent steps, before they are taken; and on the first steps under them, which neither
they nor their predecessors have seen. Where they do worse, the predecessors come back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from loop_ros.agent import Agent, Weights
from loop_ros.control.gate import RecentSteps, Step
from loop_ros.control.step_prediction import predict_steps

FEWEST = 20  # steps that say something of a model
# Below these a model is good enough, and small numbers may differ by any factor.
GOOD_ERROR, GOOD_COST = 0.2, 0.05
SLOWER = 3.0  # times the time of the plans before
REHEARSALS = 3  # plans, of which one has to be fast: others use the processor too


class Errors(NamedTuple):
    """How well a model predicts steps."""

    state: float  # of the next state, root mean square; 1 is that of a typical step
    cost: float  # of the step's cost, mean; 0 where the task cannot say what it was


class WeightsTrial:
    """Takes weights over where they are no worse."""

    def __init__(self, steps: int, tolerance: float, period: float = math.inf) -> None:
        """`steps` are tried on (0: weights are taken untried); a plan may take `period` (s).

        In lockstep, where every state waits for its plan, that is any time. Errors may be
        `tolerance` times those of the weights before.
        """
        self.num_steps, self._tolerance, self._period = steps, tolerance, period
        self.begin()

    def begin(self) -> None:
        """Another agent is there, with the weights that it begins with."""
        self.file: bytes | None = None  # of the weights in use; None: that the agent began with
        self._file_before: bytes | None = None
        self._before: Weights | None = None  # what the second trial may bring back
        self._since = 0  # steps so far when they were replaced

    @property
    def is_pending(self) -> bool:
        """Whether the present weights are still in their second trial."""
        return self._before is not None

    def take(self, agent: Agent, data: bytes, recent: RecentSteps, plan_s: float) -> None:
        """Load weights where they are no worse on recent steps; ValueError says why they are not.

        `plan_s` (s) is a plan's time with the present ones.
        """
        before = agent.keep_weights() if agent.ready and self.num_steps else None
        if before is None or len(recent.steps) < FEWEST:
            agent.load_weights(data)
        else:
            scale = _scale(agent)
            old = judge(agent, recent.steps, scale)
            version = agent.load_weights(data)
            new = judge(agent, recent.steps, scale)
            reason = self._worse(new, old) or self._slower(agent, recent.steps[-1], plan_s)
            if reason:
                agent.put_back(before)
                raise ValueError(
                    f'version {version} on the last {len(recent.steps)} steps: {reason}'
                )
        self._before, self._since = before, recent.total
        self._file_before, self.file = self.file, data

    def review(self, agent: Agent, recent: RecentSteps) -> None:
        """The second trial, once there are enough steps; ValueError where the old ones are back."""
        if self._before is None or recent.total - self._since < self.num_steps:
            return
        tried, before, self._before = agent.keep_weights(), self._before, None
        agent.put_back(before)
        scale = _scale(agent)
        old = judge(agent, recent.steps, scale)
        agent.put_back(tried)
        reason = self._worse(judge(agent, recent.steps, scale), old)
        if reason:
            agent.put_back(before)
            self.file = self._file_before
            raise ValueError(
                f'version {tried.version} on its first {len(recent.steps)} steps: {reason}'
            )

    def _worse(self, new: Errors, old: Errors) -> str:
        for what, now, then, good in (
            ('states', new.state, old.state, GOOD_ERROR),
            ('costs', new.cost, old.cost, GOOD_COST),
        ):
            if not now <= max(good, self._tolerance * then):
                return f'error in predicted {what} {now:.3g}, with the old ones {then:.3g}'
        return ''

    def _slower(self, agent: Agent, last: Step, plan_s: float) -> str:
        """Equal sizes take equal time, but for numbers that the processor is slow with."""
        with agent.planner.unchanged():
            for _ in range(REHEARSALS):
                plan = agent.act(last.next_observation)
                if not np.isfinite(plan.sequence).all():
                    return 'its plan is not finite'
                if plan.plan_s <= max(self._period, SLOWER * plan_s):
                    return ''
        return f'a plan takes {plan.plan_s:.3g} s, before {plan_s:.3g} s'


def judge(agent: Agent, steps: Sequence[Step], scale: Tensor) -> Errors:
    """How well the agent's present models predict these steps; `scale` [S] of their errors."""
    found = predict_steps(agent, *(np.array(part) for part in zip(*steps, strict=True)))
    error = (found.predicted.mean(dim=0) - found.next_state) / scale
    cost_error = 0.0
    if agent.task.cost is not None:
        counted = agent.task.cost(found.next_state)
        cost_error = float((found.cost.mean(dim=0) - counted).abs().mean())
    return Errors(float(error.square().mean().sqrt()), cost_error)


def _scale(agent: Agent) -> Tensor:
    """How much the states change in a step [S], in the data of the present weights."""
    return agent.ensemble.targets.std[: agent.task.state_dim].clone()
