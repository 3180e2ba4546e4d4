# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Iterative importance sampling of action sequences: the body that ARC, safeARC and CEM share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from loop_ros.planning import weighting
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import PlannerSettings
from loop_ros.types import PlannerMemory, Scores


class Search(NamedTuple):
    """The last iteration of a search; all on the device."""

    state: Tensor  # [S], from which was planned
    mean: Tensor  # [H, A], around which the candidates were drawn
    candidates: Tensor  # [N, H, A]
    scores: Scores  # of the candidates
    noise: Tensor | None  # [H, K, P, S+1], that every candidate met


class Solution(NamedTuple):
    """The planned mean sequence and what the ensemble says of it; all on the device."""

    sequence: Tensor  # [H, A] in [-1, 1]
    std: Tensor  # [A], of the first action among the candidates, by their weights
    states: Tensor  # [H+1, S], the ensemble's mean along the sequence
    runner_up: Tensor  # [A], first action of the best candidate that begins differently
    metrics: dict[str, Tensor]  # [] each, of types.PlanMetrics
    iterations: int  # that were run
    search: Search  # valid until the next plan


class Planner:
    """Plans in the ensemble; each search starts from the last plan, shifted by one step."""

    def __init__(self, rollout: Rollout, generator: torch.Generator) -> None:
        self.rollout, self.generator = rollout, generator
        self.action_dim, self.device = len(rollout.task.action_labels), rollout.device
        self._start = torch.zeros(0, self.action_dim, device=self.device)  # [H, A]
        self._evaluation_s = 0.0  # what the last plan's evaluation took

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
            self._start.copy_(shifted(self._start))

    @torch.inference_mode()
    def plan(self, state: Tensor, settings: PlannerSettings, most: int | None = None) -> Solution:
        """The best action sequence from `state` [S], sought around the last one (Alg. 3 and 4).

        With a time budget the iterations end while there is still time to evaluate the result; the
        first one always runs. Without one nothing waits for the device. `most` iterations are run
        where it is given, whatever the budget: the same plan again.
        """
        begin = time.perf_counter()
        self.rollout.refresh(settings)
        mean = start = self.start(settings.horizon)
        variance = (torch.zeros_like(mean) + settings.initial_std).square()
        noise = self._particle_noise(settings)
        proposed = self._proposals(state, mean, settings)
        for iterations in range(1, settings.num_iterations + 1):
            proposals = proposed[(iterations - 1) % len(proposed)]
            num = settings.num_samples - len(proposals)
            candidates = torch.cat((proposals, self._samples(mean, variance, num, settings)))
            scores = self.rollout(state, candidates, noise, settings)
            weights = weighting.weigh(scores, settings)
            around = mean
            mean, variance = _update(mean, variance, candidates, weights, settings)
            if iterations == most:
                break
            is_limited = settings.time_budget > 0 and most is None
            if is_limited and not self._fits_another(begin, iterations, settings):
                break
        end = time.perf_counter()
        final, spread, path, _ = self.rollout.evaluate(state, mean.unsqueeze(0), noise, settings)
        self._evaluation_s = time.perf_counter() - end
        other = _runner_up(mean[0], candidates, scores, settings)
        metrics = {
            'predicted_return': final.returns[0],
            'worst_cost': final.costs[0],
            'safe_fraction': (scores.costs <= settings.d0).float().mean(),
            'actor_share': weights[: len(proposals)].sum(),
            'disagreement': spread[0],
            'runner_up_return': scores.returns.index_select(0, other)[0],
            'runner_up_cost': scores.costs.index_select(0, other)[0],
        }
        runner_up = candidates[:, 0].index_select(0, other)[0]
        states = torch.cat((state.unsqueeze(0), path.mean(dim=(1, 2))))
        start.copy_(shifted(mean))
        search = Search(state, around, candidates, scores, noise)
        return Solution(mean, variance[0].sqrt(), states, runner_up, metrics, iterations, search)

    def start(self, horizon: int) -> Tensor:
        """Where the next search begins [H, A]; zeros where the last plan was of another length."""
        if len(self._start) != horizon:
            self._start = torch.zeros(horizon, self.action_dim, device=self.device)
        return self._start

    @torch.inference_mode()
    def values(self, states: Tensor, settings: PlannerSettings) -> Tensor:
        """What the best sequence found from each of M states [M, S] is worth, [M].

        All are sought together, each from the middle of the action range and without the actor;
        all meet the same noise.
        """
        self.rollout.refresh(settings)
        num = settings.num_samples
        mean = states.new_zeros(len(states), settings.horizon, self.action_dim)
        variance = (mean + settings.initial_std).square()
        noise = self._particle_noise(settings)
        starts = states.repeat_interleave(num, dim=0)
        for _ in range(settings.num_iterations):
            candidates = self._samples(mean, variance, num, settings)
            scores = self.rollout(starts, candidates.flatten(0, 1), noise, settings)
            of_state = Scores(*(part.unflatten(0, (-1, num)) for part in scores))
            weights = weighting.weigh(of_state, settings)
            mean, variance = _update(mean, variance, candidates, weights, settings)
        return self.rollout(states, mean, noise, settings).returns

    def score(self, state: Tensor, sequences: Tensor, settings: PlannerSettings) -> Scores:
        """What the models say of sequences [N, H, A] from `state` [S]."""
        self.rollout.refresh(settings)
        with self.unchanged():
            return self.rollout(state, sequences, self._particle_noise(settings), settings)

    def _fits_another(self, begin: float, iterations: int, settings: PlannerSettings) -> bool:
        """Whether one more iteration like the ones so far, and the evaluation, are in time."""
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        elapsed = time.perf_counter() - begin
        return elapsed * (1 + 1 / iterations) + self._evaluation_s <= settings.time_budget

    def _proposals(self, state: Tensor, last: Tensor, settings: PlannerSettings) -> Tensor:
        """The actor's share of the candidates, [I, beta N, H, A]; I is 1 without resampling.

        It depends only on the state and the shifted last plan [H, A], so that all iterations'
        shares are drawn in one pass.
        """
        num = round(settings.actor_fraction * settings.num_samples)
        draws = settings.num_iterations if settings.resample_actor else 1
        if num == 0:
            return state.new_empty(1, 0, settings.horizon, self.action_dim)
        noise = self._normal(draws, num, settings.horizon, self.action_dim)
        return self.rollout.actor_sequences(state, noise, settings, last)

    def _samples(
        self, mean: Tensor, variance: Tensor, num: int, settings: PlannerSettings
    ) -> Tensor:
        """Candidates [..., num, H, A] of Gaussians [..., H, A], clipped to the action range."""
        mean, variance = mean.unsqueeze(-3), variance.unsqueeze(-3)
        noise = self._normal(*mean.shape[:-3], num, *mean.shape[-2:])
        if settings.truncate_samples:
            # Inverse transform of the uniform image of the normal sample: exact, no rejection.
            edge = 0.9772498680518208  # standard normal distribution at 2 sigma
            uniform = torch.special.ndtr(noise)
            noise = torch.special.ndtri((1.0 - edge) + uniform * (2.0 * edge - 1.0))
        return (mean + variance.sqrt() * noise).clamp(-1.0, 1.0)

    def _particle_noise(self, settings: PlannerSettings) -> Tensor | None:
        """The models' aleatoric noise [H, K, P, S+1], one draw a plan."""
        if not settings.propagate_noise:
            return None
        ensemble = self.rollout.parts.ensemble
        return self._normal(
            settings.horizon, ensemble.num_models, settings.num_particles, ensemble.noisy_dim
        )

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)


def shifted(sequence: Tensor) -> Tensor:
    """A sequence [H, A] one step later, its last action repeated."""
    return torch.cat((sequence[1:], sequence[-1:]))


def _update(
    mean: Tensor,
    variance: Tensor,
    candidates: Tensor,
    weights: Tensor,
    settings: PlannerSettings,
) -> tuple[Tensor, Tensor]:
    """Weighted mean and variance (Eq. 8), mixed into the old ones (Alg. 3, lines 27 to 30).

    Candidates [..., N, H, A] with weights [..., N].
    """
    weights = weights[..., None, None]
    new_mean = (weights * candidates).sum(dim=-3)
    new_variance = (weights * (candidates - new_mean.unsqueeze(-3)) ** 2).sum(dim=-3)
    return (
        torch.lerp(mean, new_mean, settings.mean_update),
        torch.lerp(variance, new_variance, settings.variance_update),
    )


def _runner_up(
    action: Tensor, candidates: Tensor, scores: Scores, settings: PlannerSettings
) -> Tensor:
    """The best [1] of candidates [N, H, A] that begin differently from a plan's `action` [A].

    That is, farther from it than they do on average. Under a constraint the safe ones come first,
    by return, then the others by cost.
    """
    merit = scores.returns
    if settings.constrained:
        merit = weighting.safe_merit(scores, settings)
    distance = (candidates[:, 0] - action).norm(dim=-1)
    different = torch.where(distance >= distance.mean(), merit, -torch.inf)
    return different.argmax().view(1)
