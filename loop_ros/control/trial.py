# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New weights are tried on what the robot did last, before it is driven by them; knows no ROS.

Twice: on the recent steps, before they are taken; and on the first steps under them, which neither
they nor their predecessors have seen. Where they do worse, the predecessors come back.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from loop_ros.agent import Agent, Weights
from loop_ros.control.one_step import foretell
from loop_ros.types import Array

FEWEST = 20  # steps that say something of a model
# Below these a model is good enough, and small numbers may differ by any factor.
GOOD_ERROR, GOOD_COST = 0.2, 0.05
SLOWER = 3.0  # times the time of the plans before
REHEARSALS = 3  # plans, of which one has to be fast: others use the processor too


class Step(NamedTuple):
    """One control period of the robot."""

    observation: Array  # [O]
    action: Array  # [A], physical units
    next_observation: Array  # [O]


class Figures(NamedTuple):
    """How well a model foretells steps."""

    error: float  # of the next state, root mean square; 1 is that of a typical step
    cost_error: float  # of the step's cost, mean; 0 where the task cannot say what it was


class WeightsTrial:
    """Takes weights over where they are no worse."""

    def __init__(self, steps: int, tolerance: float, period: float) -> None:
        """`steps` are tried on (0: weights are taken untried); `period` (s) is a plan's.

        Errors may be `tolerance` times those of the weights before.
        """
        self._steps, self._tolerance, self._period = steps, tolerance, period
        self._lock = threading.Lock()
        self._recent: deque[Step] = deque(maxlen=max(1, steps))
        self._count = 0  # steps so far
        self._at: Array | None = None  # the newest observation
        self._did: Array | None = None  # the action after it
        self._before: Weights | None = None  # what the second trial may bring back
        self._since = 0

    def reach(self, observation: Array, restart: bool) -> None:
        """The robot is there [O]; after a `restart` not by its last action."""
        with self._lock:
            if self._at is not None and self._did is not None and not restart:
                self._recent.append(Step(self._at, self._did, observation))
                self._count += 1
            self._at, self._did = observation, None

    def did(self, action: Array) -> None:
        """What the robot was told there [A]; the last word counts."""
        with self._lock:
            self._did = action

    def take(self, agent: Agent, data: bytes, plan_s: float) -> int:
        """The version now in use; ValueError with the reason where these are not taken.

        `plan_s` (s) is a plan's time with the present ones.
        """
        recent, count = self._memory()
        before = agent.keep_weights() if agent.ready and self._steps else None
        if before is None or len(recent) < FEWEST:
            version = agent.load_weights(data)
        else:
            scale = _scale(agent)
            old = judge(agent, recent, scale)
            version = agent.load_weights(data)
            new = judge(agent, recent, scale)
            reason = self._worse(new, old) or self._slower(agent, recent, plan_s)
            if reason:
                agent.put_back(before)
                raise ValueError(f'version {version} on the last {len(recent)} steps: {reason}')
        self._before, self._since = before, count
        return version

    def review(self, agent: Agent) -> str:
        """The second trial, once there are enough steps; the reason where the old ones are back."""
        if self._before is None:
            return ''
        recent, count = self._memory()
        if count - self._since < self._steps:
            return ''
        tried, before, self._before = agent.keep_weights(), self._before, None
        agent.put_back(before)
        scale = _scale(agent)
        old = judge(agent, recent, scale)
        agent.put_back(tried)
        reason = self._worse(judge(agent, recent, scale), old)
        if not reason:
            return ''
        agent.put_back(before)
        return f'version {tried.version} on its first {len(recent)} steps: {reason}'

    def _memory(self) -> tuple[list[Step], int]:
        """The recent steps, and how many there were so far."""
        with self._lock:
            return list(self._recent), self._count

    def _worse(self, new: Figures, old: Figures) -> str:
        for what, now, then, good in (
            ('states', new.error, old.error, GOOD_ERROR),
            ('costs', new.cost_error, old.cost_error, GOOD_COST),
        ):
            if not now <= max(good, self._tolerance * then):
                return f'error in predicted {what} {now:.3g}, with the old ones {then:.3g}'
        return ''

    def _slower(self, agent: Agent, recent: Sequence[Step], plan_s: float) -> str:
        """Equal sizes take equal time, but for numbers that the processor is slow with."""
        with agent.planner.unchanged():
            for _ in range(REHEARSALS):
                plan = agent.act(recent[-1].next_observation)
                if not np.isfinite(plan.sequence).all():
                    return 'its plan is not finite'
                if plan.plan_s <= max(self._period, SLOWER * plan_s):
                    return ''
        return f'a plan takes {plan.plan_s:.3g} s, before {plan_s:.3g} s'


def judge(agent: Agent, steps: Sequence[Step], scale: Tensor) -> Figures:
    """How well the agent's present models foretell these steps; `scale` [S] of their errors."""
    before, action, after = (np.array(part) for part in zip(*steps, strict=True))
    said = foretell(agent, before, action, after)
    error = (said.state.mean(dim=0) - said.reached) / scale
    cost_error = 0.0
    if agent.task.cost is not None:
        counted = agent.task.cost(said.reached)
        cost_error = float((said.cost.mean(dim=0) - counted).abs().mean())
    return Figures(float(error.square().mean().sqrt()), cost_error)


def _scale(agent: Agent) -> Tensor:
    """How much the states change in a step [S], in the data of the present weights."""
    return agent.ensemble.targets.std[: agent.task.state_dim].clone()
