# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planning beside another controller, without commanding: how would it have been different?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from loop_ros.layout import Layout
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan


class Scoring(Protocol):
    """What is needed of an agent."""

    def score(self, observation: Array, sequences: Array) -> tuple[Array, Array]:
        """Returns and worst costs [N] of sequences [N, H, A]."""


class Difference(NamedTuple):
    """Two answers to one state. The models judge both, each followed by the rest of the plan."""

    stamp: int  # ns, of the state
    planned: Array  # [A], what the planner would have commanded
    other: Array  # [A], what the other controller commanded
    distance: float  # L2, of the normalised actions
    predicted_return: float
    other_return: float
    worst_cost: float
    other_cost: float
    d0: float


METRICS = ('distance', 'predicted_return', 'other_return', 'worst_cost', 'other_cost', 'd0')


def layout(task: Task) -> Layout:
    """Fields of a difference on the wire; the stamp is in seconds."""
    labels = ','.join(task.action_labels)
    vectors = tuple((f'{name}:{labels}', len(task.action_labels)) for name in ('planned', 'other'))
    return (('stamp', 1), *vectors, *((name, 1) for name in METRICS))


def values(difference: Difference) -> Array:
    """A difference as one vector in the order of `layout`."""
    metrics = [getattr(difference, name) for name in METRICS]
    stamp = [difference.stamp / 1e9]
    return np.concatenate((stamp, difference.planned, difference.other, metrics))


class Shadow:
    """Pairs plans with the other controller's actions, and sums up what they differ in.

    Plans and comparisons come from the planner thread, the other's actions from another one.
    """

    def __init__(self, task: Task, publish: Callable[[Difference], None]) -> None:
        """`publish` is called with each difference, in the planner thread."""
        self._task, self._publish = task, publish
        self._lock = threading.Lock()
        self._other: tuple[int, Array] | None = None
        self._planned: tuple[int, Array, Plan] | None = None
        self._compared, self._sums = 0, np.zeros(4)

    def observe(self, stamp: int, action: Array) -> bool:
        """Take the other's action for the state at `stamp`; whether it is the first one."""
        with self._lock:
            first = self._other is None or self._other[0] != stamp
            if first:
                self._other = stamp, action
            return first

    def keep_plan(self, stamp: int, observation: Array, plan: Plan) -> None:
        """What the planner would do there."""
        self._planned = stamp, observation, plan

    def compare(self, agent: Scoring) -> None:
        """Once there are both for the same state."""
        with self._lock:
            other, planned = self._other, self._planned
        if other is None or planned is None or other[0] != planned[0]:
            return
        self._planned = None
        stamp, observation, plan = planned
        instead = plan.sequence.copy()
        instead[0] = other[1]
        returns, costs = agent.score(observation, np.stack((plan.sequence, instead)))
        actions = self._task.normalize_action(np.stack((plan.action, other[1])))
        difference = Difference(
            stamp=stamp,
            planned=plan.action,
            other=other[1],
            distance=float(np.linalg.norm(actions[0] - actions[1])),
            predicted_return=float(returns[0]),
            other_return=float(returns[1]),
            worst_cost=float(costs[0]),
            other_cost=float(costs[1]),
            d0=plan.d0,
        )
        self._add(difference)
        self._publish(difference)

    def metrics(self) -> dict[str, float]:
        """Of all states that were compared, for diagnostics."""
        names = (
            'distance of actions (mean)',
            "predicted gain over the other's action (mean)",
            'planned breaks d0 (share)',
            'other breaks d0 (share)',
        )
        means = self._sums / max(1, self._compared)
        return {'compared': self._compared, **dict(zip(names, means.tolist(), strict=True))}

    def _add(self, found: Difference) -> None:
        gain = found.predicted_return - found.other_return
        breaks = found.worst_cost > found.d0, found.other_cost > found.d0
        self._compared += 1
        self._sums += (found.distance, gain, *breaks)
