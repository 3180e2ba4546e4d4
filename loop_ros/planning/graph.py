# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole plan as one CUDA graph, where that is the fastest backend."""

from __future__ import annotations

import dataclasses
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from loop_ros.cuda_graph import capture
from loop_ros.models.fused_ensemble import FusedEnsemble
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.planning.search import Solution, TensorSettings
from loop_ros.settings import PlannerSettings

# Numbers that a captured plan reads from the device. A change of another setting captures again.
LIVE = (
    'd0', 'temperature', 'initial_std', 'mean_update', 'variance_update', 'min_safe', 'pessimism',
    'actor_noise',
)  # fmt: skip
# What does not touch the captured work.
ELSEWHERE: dict[str, Any] = {
    'explore': 'planner', 'actor_episodes': 0.0, 'exploration_std': 0.0, 'plan_exploration': 0.0,
    'rollout_threads': 0, 'time_budget': 0.0,
}  # fmt: skip
ANY: dict[str, Any] = {name: getattr(PlannerSettings(), name) for name in LIVE}
CAPTURED = 16  # most plans that are kept captured, one for each set of other settings
TIMED = 10  # plans that decide which backend is fastest


class LiveSettings(TensorSettings):
    """Settings whose live numbers are tensors, so that they may change after a capture."""

    def __init__(self, settings: PlannerSettings, device: torch.device) -> None:
        self._numbers = torch.zeros(len(LIVE), device=device)
        live = dict(zip(LIVE, self._numbers.unbind(), strict=True))
        super().__init__(dataclasses.replace(settings, **ELSEWHERE), live)
        self._held: list[float] = []

    def update(self, settings: PlannerSettings) -> None:
        """Take over the live numbers, where they have changed."""
        numbers = [float(getattr(settings, name)) for name in LIVE]
        if numbers != self._held:
            self._numbers.copy_(torch.tensor(numbers))
            self._held = numbers


class StaticPlan:
    """A plan on tensors that stay where they are: eager, and one graph launch once captured."""

    def __init__(self, planner: Planner, state: Tensor, settings: PlannerSettings) -> None:
        """`state` [S] serves as an example."""
        self._planner = planner
        self._state = torch.zeros_like(state)
        self._settings = LiveSettings(settings, state.device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._solution: Solution | None = None

    def __call__(self, state: Tensor, settings: PlannerSettings) -> Solution:
        """Plan; once captured, the solution is valid until the next call."""
        self._state.copy_(state)
        self._settings.update(settings)
        if self._graph is None:
            return self._run()
        self._graph.replay()
        assert self._solution is not None
        return self._solution

    def capture(self) -> None:
        """Record the plan without running it; it must have run before."""

        def work() -> None:
            self._solution = self._run()

        self._graph = capture(work, self._planner.generator)

    def release(self) -> None:
        """Go back to eager runs."""
        self._graph = self._solution = None

    def _run(self) -> Solution:
        # Not the planner's own way of planning, which is this one.
        return Planner.plan(self._planner, self._state, cast(PlannerSettings, self._settings))


class Backend(NamedTuple):
    """One implementation of planning."""

    name: str
    copy: Callable[[Any, torch.dtype], Any] | None  # of the ensemble; None: the rollout's own
    graphed: bool


EAGER = Backend('eager planning', None, graphed=False)
BACKENDS = (
    Backend('one CUDA graph with the fused rollout', FusedEnsemble, graphed=True),
    Backend('one CUDA graph', None, graphed=True),
    EAGER,
)


class GraphedPlanner(Planner):
    """Plans by the backend that is fastest on this device and agrees with eager planning.

    Its first plan tries the backends out, which takes seconds and no random numbers. One that fails
    or disagrees is left out with a warning. A solution is valid until the next plan.
    """

    def __init__(self, rollout: Rollout, generator: torch.Generator) -> None:
        super().__init__(rollout, generator)
        self.backend: Backend | None = None  # chosen by the first plan
        self._eager_rollout = rollout
        self._plan_s = (0.0, 0)  # what a plan of so many iterations takes
        self._plans: dict[PlannerSettings, StaticPlan] = {}

    @torch.inference_mode()
    def plan(self, state: Tensor, settings: PlannerSettings, most: int | None = None) -> Solution:
        """As Planner.plan; OutOfMemoryError that names the settings where memory is too small."""
        try:
            if self.backend is None:
                self.backend = self._choose(state, settings)
            if not self.backend.graphed:
                return super().plan(state, settings, most)
            settings = self._in_time(settings, most)
            return self._static(state, settings)(state, settings)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(
                f'{settings.num_samples} sequences do not fit into the memory of {self.device}: '
                'lower planner.num_samples, num_particles or horizon, or plan on the CPU'
            ) from error

    def _choose(self, state: Tensor, settings: PlannerSettings) -> Backend:
        """The fastest backend whose numbers are those of the eager one."""
        eager, found = self._eager_rollout, dict[Backend, tuple[float, Rollout]]()
        for backend in BACKENDS:
            self._plans.clear()
            copy = backend.copy
            self.rollout = eager if copy is None else Rollout(eager.parts, eager.task, copy)
            try:
                self._check_rollout(state, settings)
                found[backend] = self._time(backend, state, settings), self.rollout
            except Exception as error:  # of a compiler, a driver, a library: any will do
                if backend is EAGER:
                    raise
                _warn(backend.name, error)
        backend = min(found, key=lambda each: found[each][0])
        seconds, self.rollout = found[backend]
        self._plan_s = seconds, settings.num_iterations
        self._plans.clear()
        self.reset()
        return backend

    def _check_rollout(self, state: Tensor, settings: PlannerSettings) -> None:
        """Compare returns and states of random sequences with the eager rollout's."""
        if self.rollout is self._eager_rollout:
            return
        before = self.generator.get_state()
        sequences = self.normal(settings.num_samples, settings.horizon, self.action_dim).tanh()
        noise = self.particle_noise(settings)
        self.generator.set_state(before)
        results = []
        for rollout in (self.rollout, self._eager_rollout):
            rollout.refresh(settings)
            returns = rollout(state, sequences, noise, settings).returns
            path = rollout.evaluate(state, sequences[:1], noise, settings).path
            results.append((returns, path.mean(dim=(1, 2))))
        for ours, theirs in zip(*results, strict=True):
            if not _close(ours, theirs):
                raise ValueError('its scores are not those of eager planning')

    def _time(self, backend: Backend, state: Tensor, settings: PlannerSettings) -> float:
        """The median time of a plan, s; leaves the random numbers as they were."""
        settings = dataclasses.replace(settings, time_budget=0.0)
        before = self.generator.get_state()
        plan = self._static(state, settings) if backend.graphed else super().plan
        times = []
        try:
            for _ in range(TIMED):
                begin = time.perf_counter()
                plan(state, settings).metrics['predicted_return'].item()
                times.append(time.perf_counter() - begin)
        finally:
            self.generator.set_state(before)
        return statistics.median(times)

    def _in_time(self, settings: PlannerSettings, most: int | None) -> PlannerSettings:
        """As many iterations as fit the time budget, by the time of the plans that were timed.

        The evaluation counts as one more. Where `most` is given, so many.
        """
        if most is not None:
            return dataclasses.replace(settings, num_iterations=most)
        seconds, iterations = self._plan_s
        if not settings.time_budget:
            return settings
        fitting = int(settings.time_budget / seconds * (iterations + 1)) - 1
        num = min(settings.num_iterations, max(1, fitting))
        return dataclasses.replace(settings, num_iterations=num)

    def _static(self, state: Tensor, settings: PlannerSettings) -> StaticPlan:
        """The plan of these settings, captured at its first use."""
        if len(self._plans) == CAPTURED or len(self._start) != settings.horizon:
            self._plans.clear()
        self.start(settings.horizon)  # whose memory the plans are captured on
        key = dataclasses.replace(settings, **ELSEWHERE, **ANY)
        if key not in self._plans:
            static = self._plans[key] = StaticPlan(self, state, settings)
            try:
                self._capture(static, state, settings)
            except Exception as error:
                static.release()
                if self.backend is None:
                    raise  # there are other backends
                _warn('a CUDA graph for the changed settings', error)
        return self._plans[key]

    def _capture(self, static: StaticPlan, state: Tensor, settings: PlannerSettings) -> None:
        """Capture a plan; random numbers and the start stay as they were."""
        memory = self.memory()
        sequences = []
        for prepare in (lambda: None, static.capture):
            prepare()
            sequences.append(static(state, settings).sequence.clone())
            self.recall(memory)
        if not _close(*sequences):
            raise ValueError('its plan is not that of eager planning')


def _close(ours: Tensor, theirs: Tensor) -> bool:
    """Whether the mean error is small beside the spread; not so with a NaN."""
    error, spread = (
        (ours - theirs).abs().mean(),
        theirs.std(correction=0) + 1e-3 * theirs.abs().mean(),
    )
    return bool(error <= 0.05 * spread)


def _warn(what: str, error: Exception) -> None:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    warnings.warn(f'{what} is not used: {reason}', stacklevel=2)
