# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plans of a snapshot made again, each from what its planner remembered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from loop_ros.agent import Agent
from loop_ros.devices import usable_device
from loop_ros.snapshots import environment
from loop_ros.snapshots.columns import METRICS
from loop_ros.snapshots.files import Snapshot
from loop_ros.types import Plan

# Compared, what the robot gets first.
ARRAYS = ('action', 'sequence', 'actor_action', 'states', 'runner_up', 'next_state', 'next_std')
NUMBERS = tuple(name for name in METRICS if name != 'plan_s')


@dataclass(frozen=True)
class Tick:
    """A plan that was made again, or why it was not."""

    row: int  # of the plans
    plan: Plan | None
    problem: str  # why there is none
    differs: dict[str, float]  # by how much most, by quantity; inf where one is not finite
    agent: Agent | None = None  # that made it, and no other since

    @property
    def same(self) -> bool:
        """Whether it is the recorded one, bit for bit."""
        return self.plan is not None and not self.differs

    def describe(self) -> str:
        """In words, what is different."""
        if self.plan is None:
            return self.problem
        if not self.differs:
            return 'the same'
        return ', '.join(f'{name} by {size:.3g}' for name, size in self.differs.items())


class Replanner:
    """Makes the agents of a snapshot, and with them its plans."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Sets torch's threads to what they were."""
        self.snapshot = snapshot
        self.notes = environment.differences(snapshot.metadata['environment'])
        self._agents: dict[tuple[int, int], Agent | str] = {}
        torch.set_num_threads(max(1, snapshot.metadata['num_threads']))

    def agent(self, row: int) -> Agent:
        """The agent of a plan, as it was before it; ValueError says why there is none."""
        plans = self.snapshot.columns.plans
        key = int(plans.weights[row]), int(plans.device[row])
        if key not in self._agents:
            try:
                self._agents[key] = self._make(*key)
            except ValueError as error:
                self._agents[key] = str(error)
        agent = self._agents[key]
        if isinstance(agent, str):
            raise ValueError(agent)
        settings = self.snapshot.planners[int(plans.settings[row])]
        agent.configure(dataclasses.replace(settings, time_budget=0.0))
        agent.planner.recall(plans.memory(row))
        return agent

    def plan(self, row: int) -> Tick:
        """Make a plan again and compare it."""
        plans = self.snapshot.columns.plans
        try:
            agent = self.agent(row)
            iterations = int(plans.metric('iterations')[row])
            predict_next = bool(np.isfinite(plans.next_state[row]).any())
            explore = bool(self.snapshot.metadata['explore'])
            agent.actor_drives = not iterations  # else a part of the episodes is drawn
            plan = agent.act(plans.observation[row], explore, predict_next, iterations or None)
        except (ValueError, RuntimeError) as error:
            return Tick(row, None, str(error), {})
        return Tick(row, plan, '', dict(self._differences(row, plan)), agent)

    def plans(self, rows: Sequence[int]) -> Iterator[Tick]:
        """Make some of them again, one by one."""
        yield from map(self.plan, rows)

    def _make(self, weights: int, device: int) -> Agent:
        name = str(self.snapshot.metadata['devices'][device])
        try:
            usable_device(name)
        except ValueError as error:
            self.notes.append(f'planned on the CPU, since {error}')
            name = 'cpu'
        snapshot = self.snapshot
        data = snapshot.weights(weights)
        agent = Agent(snapshot.task, snapshot.settings, name, snapshot.metadata['seed'])
        agent.load_weights(data, f'weights{weights}', require_digest=False)
        return agent

    def _differences(self, row: int, plan: Plan) -> Iterator[tuple[str, float]]:
        plans = self.snapshot.columns.plans
        for name in ARRAYS:
            found: Any = getattr(plan, name)
            recorded = getattr(plans, name)[row]
            if found is None:
                found = np.full(recorded.shape, np.nan)
            if size := _difference(_filled(found, recorded.shape), recorded):
                yield name, size
        for place, name in enumerate(METRICS):
            if name in NUMBERS:
                one, two = np.float64(getattr(plan, name)), plans.metrics[row, place]
                if size := _difference(one, two):
                    yield name, size


def _filled(found: Any, shape: tuple[int, ...]) -> Any:
    """As it stands in the columns: filled up with NaN."""
    if np.shape(found) == shape:
        return found
    table = np.full(shape, np.nan)
    table[tuple(slice(length) for length in np.shape(found))] = found
    return table


def _difference(one: Any, two: Any) -> float:
    """The largest between numbers; 0 where their bits are the same."""
    if np.array_equal(one, two, equal_nan=True):
        return 0.0
    with np.errstate(invalid='ignore'):
        size = np.abs(one - two)
    both = np.isnan(one) & np.isnan(two)
    return float(np.where(np.isnan(size), np.where(both, 0.0, np.inf), size).max())
