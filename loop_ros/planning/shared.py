# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots whose threads ask for plans when they need them, and get them in common passes."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from typing import NamedTuple

import torch
from torch import Tensor

from loop_ros.planning.planner import Planner
from loop_ros.planning.search import Solution, plan_together, thresholds
from loop_ros.planning.start import SearchStart
from loop_ros.settings import PlannerSettings

LEAST_BUDGET = 1e-6  # s, of a pass that is late: one iteration, for 0 would be without a limit


class _Kind(NamedTuple):
    """What those have in common who may plan in one pass."""

    task: str
    weights: bytes  # a digest
    settings: PlannerSettings  # without d0 and time budget
    is_limited: bool  # whether there is a time budget
    most: int | None


@dataclasses.dataclass
class _Request:
    """A plan that a thread waits for."""

    planner: SearchStart
    state: Tensor  # [S]
    settings: PlannerSettings
    kind: _Kind
    deadline: float  # s, steady clock; where the settings have a time budget
    solution: Solution | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.solution is not None or self.error is not None


class SharedPasses:
    """One pass for all robots that wait for a plan, each in a thread of its own.

    A robot that asks while no pass runs begins one. Those that ask meanwhile wait for its end; then
    one of them plans for all. So a robot alone waits for nobody. Passes of robots that cannot plan
    together, for their weights or settings differ, run beside each other.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._running: set[_Kind] = set()
        self._passes = self._plans = 0

    @property
    def robots(self) -> float:
        """In a pass, on average so far."""
        return self._plans / max(1, self._passes)

    def join(self, planner: Planner) -> Planner:
        """A planner that goes on where this one is and shares passes; on CUDA it plans alone."""
        if planner.device.type == 'cuda':
            return planner
        return _SharingPlanner(planner, self)

    def plan(self, request: _Request) -> Solution:
        """The solution, found in this thread or in another one; raises what planning raises."""
        with self._changed:
            self._waiting.append(request)
            self._changed.wait_for(lambda: request.is_done or request.kind not in self._running)
            group = [] if request.is_done else self._take(request)
        if group:
            try:
                _solve(group)
            finally:
                with self._changed:
                    self._running.remove(request.kind)
                    self._changed.notify_all()
        if request.error is not None:
            raise request.error
        assert request.solution is not None
        return request.solution

    def _take(self, first: _Request) -> list[_Request]:
        """This request and those that can be planned with it."""
        group = [each for each in self._waiting if each.kind == first.kind and each is not first]
        self._waiting = [each for each in self._waiting if each.kind != first.kind]
        self._running.add(first.kind)
        self._passes += 1
        self._plans += 1 + len(group)
        # In the models of this thread's robot: their buffers are a thread's own.
        return [first, *group]


class _SharingPlanner(Planner):
    """Plans as a planner alone does, but for the rounding of products of other sizes."""

    def __init__(self, alone: Planner, passes: SharedPasses) -> None:
        super().__init__(alone.rollout, alone.generator)
        self.recall(alone.memory())
        self._passes = passes
        self._versions: list[int] = []
        self._digest = b''

    def plan(self, state: Tensor, settings: PlannerSettings, most: int | None = None) -> Solution:
        budget = settings.time_budget
        kind = _Kind(
            self.rollout.task.name,
            self._weights(),
            dataclasses.replace(settings, d0=0.0, time_budget=0.0),
            budget > 0,
            most,
        )
        request = _Request(self, state, settings, kind, time.monotonic() + budget)
        return self._passes.plan(request)

    def _weights(self) -> bytes:
        """A digest of the present weights, taken when they have changed."""
        tensors = self.rollout.parts.tensors().values()
        versions = [tensor._version for tensor in tensors]
        if versions != self._versions:
            digest = hashlib.sha256()
            for tensor in tensors:
                digest.update(tensor.flatten().view(torch.uint8).numpy().data)
            self._versions, self._digest = versions, digest.digest()
        return self._digest


def _solve(group: list[_Request]) -> None:
    """Plan in one pass; where that fails, one by one, so that each gets the error that is its own.

    The others' plans are then those that they would have made alone.
    """
    memories = [request.planner.memory() for request in group]
    try:
        solutions = _pass(group)
    except Exception as error:  # raised again in the thread that asked
        if len(group) == 1:
            group[0].error = error
            return
        for request, memory in zip(group, memories, strict=True):
            request.planner.recall(memory)
            _solve([request])
    else:
        for request, solution in zip(group, solutions, strict=True):
            request.solution = solution


def _pass(group: list[_Request]) -> list[Solution]:
    first, settings = group[0], group[0].settings
    if first.kind.is_limited:
        left = min(request.deadline for request in group) - time.monotonic()
        settings = dataclasses.replace(settings, time_budget=max(LEAST_BUDGET, left))
    states = torch.stack([request.state for request in group])
    d0 = thresholds([request.settings for request in group], states.device)
    planners = [request.planner for request in group]
    return plan_together(planners, states, settings, first.kind.most, d0)
