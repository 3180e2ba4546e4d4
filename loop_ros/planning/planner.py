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
from loop_ros.planning.rollout import WORTHLESS, Rollout
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


class RunnerUp(NamedTuple):
    """The best candidate among those that begin farther from the plan than they do on average."""

    action: Tensor  # [A], its first
    predicted_return: Tensor  # []
    worst_cost: Tensor  # []


class Solution(NamedTuple):
    """The planned mean sequence and what the ensemble says of it; all on the device."""

    sequence: Tensor  # [H, A] in [-1, 1]
    predicted_return: Tensor  # []
    worst_cost: Tensor  # []
    disagreement: Tensor  # [], standard deviation of the return over the models
    states: Tensor  # [H+1, S], the ensemble's mean along the sequence
    safe_fraction: Tensor  # [], of the last iteration's candidates, as is what follows
    actor_share: Tensor  # [], weight of the sequences that the actor proposed
    runner_up: RunnerUp
    iterations: int  # that were run


class Planner:
    """Plans in the ensemble; remembers the last mean for the next plan's start."""

    def __init__(
        self, rollout: Rollout, action_dim: int, device: torch.device, generator: torch.Generator
    ) -> None:
        self.rollout = rollout
        self.action_dim, self.device, self.generator = action_dim, device, generator
        self._last: Tensor | None = None
        self._follow_s = 0.0  # what the last plan's evaluation took

    def reset(self) -> None:
        """Forget the last plan: the next one starts from the middle of the action range."""
        self._last = None

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Plans in this block leave the next one as it would have been."""
        numbers, last = self.generator.get_state(), self._last
        try:
            yield
        finally:
            self.generator.set_state(numbers)
            self._last = last

    @torch.inference_mode()
    def skip(self, steps: int) -> None:
        """Move on by steps in which nothing is planned: the next start is shifted by as many."""
        if self._last is not None:
            for _ in range(steps):
                self._last = shifted(self._last)

    @torch.inference_mode()
    def plan(self, state: Tensor, settings: PlannerSettings) -> Solution:
        """The best action sequence from `state` [S], sought around the last one."""
        solution = self.solve(state, self.initial_mean(settings.horizon), settings)
        self._last = solution.sequence
        return solution

    def solve(self, state: Tensor, mean: Tensor, settings: PlannerSettings) -> Solution:
        """The best action sequence from `state` [S], sought around `mean` [H, A] (Alg. 3 and 4).

        With a time budget the iterations end while there is still time to evaluate the result; the
        first one always runs. Without one nothing waits for the device.
        """
        start = time.perf_counter()
        self.rollout.refresh(settings)
        rule = weighting.RULES[settings.algorithm]
        variance = (torch.zeros_like(mean) + settings.initial_std).square()
        noise = self._particle_noise(settings)
        proposed = self._proposals(state, mean, settings)
        for iterations in range(1, settings.num_iterations + 1):
            proposals = proposed[(iterations - 1) % len(proposed)]
            num = settings.num_samples - len(proposals)
            candidates = torch.cat((proposals, self._samples(mean, variance, num, settings)))
            scores = self.rollout(state, candidates, noise, settings)
            weights = rule(scores, settings)
            mean, variance = self._update(mean, variance, candidates, weights, settings)
            if settings.time_budget and not self._fits_another(start, iterations, settings):
                break
        end = time.perf_counter()
        final, disagreement, states = self.rollout.follow(state, mean, noise, settings)
        self._follow_s = time.perf_counter() - end
        return Solution(
            mean,
            final.returns[0],
            final.costs[0],
            disagreement,
            states,
            (scores.costs <= settings.d0).float().mean(),
            weights[: len(proposals)].sum(),
            _runner_up(mean[0], candidates, scores, settings),
            iterations,
        )

    @torch.inference_mode()
    def values(self, states: Tensor, settings: PlannerSettings) -> Tensor:
        """What the best sequence found from each of M states [M, S] is worth, [M].

        All are sought together, each from the middle of the action range and without the actor;
        all meet the same noise.
        """
        self.rollout.refresh(settings)
        rule, num = weighting.RULES[settings.algorithm], settings.num_samples
        mean = states.new_zeros(len(states), settings.horizon, self.action_dim)
        variance = (mean + settings.initial_std).square()
        noise = self._particle_noise(settings)
        starts = states.repeat_interleave(num, dim=0)
        for _ in range(settings.num_iterations):
            candidates = self._samples(mean, variance, num, settings)
            scores = self.rollout(starts, candidates.flatten(0, 1), noise, settings)
            of_state = Scores(*(part.unflatten(0, (-1, num)) for part in scores))
            mean, variance = self._update(
                mean, variance, candidates, rule(of_state, settings), settings
            )
        return self.rollout(states, mean, noise, settings).returns

    def score(self, state: Tensor, sequences: Tensor, settings: PlannerSettings) -> Scores:
        """What the models say of sequences [N, H, A] from `state` [S]."""
        self.rollout.refresh(settings)
        with self.unchanged():
            return self.rollout(state, sequences, self._particle_noise(settings), settings)

    def _fits_another(self, start: float, iterations: int, settings: PlannerSettings) -> bool:
        """Whether one more iteration like the ones so far, and the evaluation, are in time."""
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)
        elapsed = time.perf_counter() - start
        return elapsed * (1 + 1 / iterations) + self._follow_s <= settings.time_budget

    def initial_mean(self, horizon: int) -> Tensor:
        """The last plan shifted by one step, its last action repeated; zeros without one."""
        last = self._last
        if last is None or len(last) != horizon:
            return torch.zeros(horizon, self.action_dim, device=self.device)
        return shifted(last)

    def _proposals(self, state: Tensor, last: Tensor, settings: PlannerSettings) -> Tensor:
        """The actor's share of the candidates, [I, beta N, H, A]; I is 1 without resampling.

        It depends on the state and the shifted last plan [H, A] alone, so that all iterations'
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

    @staticmethod
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

    def _particle_noise(self, settings: PlannerSettings) -> Tensor | None:
        """The models' aleatoric noise [H, K, P, S+1], one draw a plan."""
        if not settings.propagate_noise:
            return None
        ensemble = self.rollout.ensemble
        return self._normal(
            settings.horizon, ensemble.num_models, settings.num_particles, ensemble.noisy_dim
        )

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)


def shifted(sequence: Tensor) -> Tensor:
    """A sequence [H, A] one step later, its last action repeated."""
    return torch.cat((sequence[1:], sequence[-1:]))


def _runner_up(
    action: Tensor, candidates: Tensor, scores: Scores, settings: PlannerSettings
) -> RunnerUp:
    """Of candidates [N, H, A] beside a plan that begins with `action` [A].

    Under a constraint safe ones come first, by return, then the others by cost.
    """
    merit = scores.returns
    if settings.constrained:
        merit = torch.where(scores.costs <= settings.d0, merit, 2 * WORTHLESS - scores.costs)
    distance = (candidates[:, 0] - action).norm(dim=-1)
    best = torch.where(distance >= distance.mean(), merit, -torch.inf).argmax().view(1)
    return RunnerUp(
        candidates[:, 0].index_select(0, best)[0],
        scores.returns.index_select(0, best)[0],
        scores.costs.index_select(0, best)[0],
    )


def make_planner(
    rollout: Rollout, action_dim: int, device: torch.device, generator: torch.Generator
) -> Planner:
    """The planner for a device; it plans in the thread that makes it."""
    if device.type != 'cuda':
        return Planner(rollout, action_dim, device, generator)
    from loop_ros.planning.graph import GraphedPlanner  # brings a compiler with it

    torch.cuda.set_device(device)  # graphs and kernels go to the present one
    return GraphedPlanner(rollout, action_dim, device, generator)
