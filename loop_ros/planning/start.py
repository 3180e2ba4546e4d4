# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one robot keeps from one search of action sequences to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from loop_ros.planning import sampling
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import PlannerSettings
from loop_ros.types import PlannerMemory


class SearchStart:
    """Where the next search starts: random numbers, and the last plan shifted by one step."""

    def __init__(self, rollout: Rollout, generator: torch.Generator) -> None:
        self.rollout, self.generator = rollout, generator
        self.action_dim, self.device = len(rollout.task.action_labels), rollout.device
        self.evaluation_s = 0.0  # what the last plan's evaluation took
        self._start = torch.zeros(0, self.action_dim, device=self.device)  # [H, A]

    def reset(self) -> None:
        """Forget the last plan: the next one starts from the middle of the action range."""
        with torch.inference_mode():
            self._start.zero_()

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Plans in this block leave the next one as it would have been."""
        memory = self.memory()
        try:
            yield
        finally:
            self.recall(memory)

    def memory(self) -> PlannerMemory:
        """What the next plan depends on, beside state, settings and weights."""
        return PlannerMemory(self.generator.get_state(), self._start.clone())

    @torch.inference_mode()
    def recall(self, memory: PlannerMemory) -> None:
        """Plan next as from this memory, which may be of another planner on the same device."""
        self.generator.set_state(memory.random_numbers)
        self.start(len(memory.start)).copy_(memory.start)

    @torch.inference_mode()
    def skip(self, steps: int) -> None:
        """Move on by steps in which nothing is planned: the next start is shifted by as many."""
        for _ in range(steps):
            self._start.copy_(sampling.shifted(self._start))

    def start(self, horizon: int) -> Tensor:
        """Where the next search begins [H, A]; zeros where the last plan was of another length."""
        if len(self._start) != horizon:
            self._start = torch.zeros(horizon, self.action_dim, device=self.device)
        return self._start

    def keep(self, planned: Tensor, evaluation_s: float) -> None:
        """Start the next search from a plan [H, A]; say how long its evaluation took."""
        self.start(len(planned)).copy_(sampling.shifted(planned))
        self.evaluation_s = evaluation_s

    def particle_noise(self, settings: PlannerSettings) -> Tensor | None:
        """The models' aleatoric noise [H, K, P, S+1], one draw a plan."""
        if not settings.propagate_noise:
            return None
        ensemble = self.rollout.parts.ensemble
        return self.normal(
            settings.horizon, ensemble.num_models, settings.num_particles, ensemble.noisy_dim
        )

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, of this planner's own."""
        return torch.randn(shape, generator=self.generator, device=self.device)
