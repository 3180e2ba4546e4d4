# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Iterative importance sampling of action sequences: the body that ARC, safeARC and CEM share.

It searches for B robots in one pass; a robot that plans alone is B = 1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from loop_ros.planning import sampling, weighting
from loop_ros.planning.rollout import Rollout
from loop_ros.planning.start import SearchStart
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


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


class TensorSettings:
    """Planner settings of which some numbers are tensors, by name."""

    def __init__(self, settings: PlannerSettings, tensors: Mapping[str, Tensor]) -> None:
        self._settings, self._tensors = settings, tensors

    def __getattr__(self, name: str) -> Any:
        return self._tensors[name] if name in self._tensors else getattr(self._settings, name)


def thresholds(settings: Sequence[PlannerSettings], device: torch.device) -> Tensor | None:
    """The d0 [B] of robots that plan together; None where all have the same."""
    found = [each.d0 for each in settings]
    return torch.tensor(found, device=device) if len(set(found)) > 1 else None


@torch.inference_mode()
def plan_together(
    planners: Sequence[SearchStart],
    states: Tensor,
    settings: PlannerSettings,
    most: int | None = None,
    d0: Tensor | None = None,
) -> list[Solution]:
    """What each of B planners plans from its own of `states` [B, S], in one pass.

    All plan in the models of the first, each with its own random numbers, its own last plan and,
    where given, its own `d0` [B]: none changes what another plans. Otherwise as `Planner.plan`.
    """
    begin, rollout = time.perf_counter(), planners[0].rollout
    if d0 is not None:
        settings = cast(PlannerSettings, TensorSettings(settings, {'d0': d0.unsqueeze(1)}))
    rollout.refresh(settings)
    mean = torch.stack([planner.start(settings.horizon) for planner in planners])
    variance = (torch.zeros_like(mean) + settings.initial_std).square()
    noise = _particle_noise(planners, settings)
    proposed = _proposals(planners, states, mean, settings)
    for iterations in range(1, settings.num_iterations + 1):
        proposals = proposed[:, (iterations - 1) % proposed.shape[1]]
        num = settings.num_samples - proposals.shape[1]
        drawn = torch.stack([planner.normal(num, *mean.shape[1:]) for planner in planners])
        sampled = sampling.samples(mean, variance, drawn, settings)
        candidates = torch.cat((proposals, sampled), dim=1)
        scores = _score(rollout, states, candidates, noise, settings)
        weights = weighting.weigh(scores, settings)
        last = Search(states, mean, candidates, scores, noise)
        mean, variance = sampling.update(mean, variance, candidates, weights, settings)
        if iterations == most:
            break
        is_limited = settings.time_budget > 0 and most is None
        if is_limited and not _fits_another(planners[0], begin, iterations, settings):
            break
    begin = time.perf_counter()
    actor_share = weights[:, : proposals.shape[1]].sum(dim=1)
    found = _evaluate(rollout, last, mean, variance, actor_share, iterations, settings)
    for planner, planned in zip(planners, mean, strict=True):
        planner.keep(planned, time.perf_counter() - begin)
    return [_of_robot(found, i) for i in range(len(planners))]


def _evaluate(
    rollout: Rollout,
    last: Search,
    mean: Tensor,
    variance: Tensor,
    actor_share: Tensor,
    iterations: int,
    settings: PlannerSettings,
) -> Solution:
    """What the models say of the planned sequences [B, H, A], each part with a row for a robot."""
    states, _, candidates, scores, noise = last
    start = _starts(states, 1)
    final, spread, path, _ = rollout.evaluate(start, mean, _in_groups(noise), settings)
    other = sampling.runner_up(mean[:, 0], candidates, scores, settings)
    ahead = path.unflatten(2, (len(mean), -1)).mean(dim=(1, 3))  # [H, B, S]
    metrics = {
        'predicted_return': final.returns,
        'worst_cost': final.costs,
        'safe_fraction': (scores.costs <= settings.d0).float().mean(dim=1),
        'actor_share': actor_share,
        'disagreement': spread,
        'runner_up_return': scores.returns.take_along_dim(other, 1)[:, 0],
        'runner_up_cost': scores.costs.take_along_dim(other, 1)[:, 0],
    }
    return Solution(
        sequence=mean,
        std=variance[:, 0].sqrt(),
        states=torch.cat((states.unsqueeze(0), ahead)).transpose(0, 1),
        runner_up=candidates[:, :, 0].take_along_dim(other.unsqueeze(2), 1)[:, 0],
        metrics=metrics,
        iterations=iterations,
        search=last,
    )


def _of_robot(found: Any, i: int) -> Any:
    """The row of one robot in whatever tensors there are."""
    if isinstance(found, Tensor):
        return found[i]
    if isinstance(found, dict):
        return {name: _of_robot(part, i) for name, part in found.items()}
    if isinstance(found, tuple):
        return type(found)(*(_of_robot(part, i) for part in found))
    return found


def _score(
    rollout: Rollout,
    states: Tensor,
    candidates: Tensor,
    noise: Tensor | None,
    settings: PlannerSettings,
) -> Scores:
    """Scores [B, N] of candidates [B, N, H, A], each from the state [S] of its robot."""
    num = candidates.shape[1]
    flat = candidates.flatten(0, 1)
    scores = rollout(_starts(states, num), flat, _in_groups(noise), settings)
    return Scores(*(part.unflatten(0, (-1, num)) for part in scores))


def _starts(states: Tensor, num: int) -> Tensor:
    """The states [B num, S] that `num` sequences of each robot start from; [S] where B is 1."""
    return states[0] if len(states) == 1 else states.repeat_interleave(num, dim=0)


def _in_groups(noise: Tensor | None) -> Tensor | None:
    """The noise [B, H, K, P, S+1] of each robot as rollouts take it; of one, [H, K, P, S+1]."""
    if noise is None:
        return None
    return noise[0] if len(noise) == 1 else noise.movedim(0, 2)


def _particle_noise(planners: Sequence[SearchStart], settings: PlannerSettings) -> Tensor | None:
    """The noise [B, H, K, P, S+1] that the candidates of each robot meet."""
    drawn = [planner.particle_noise(settings) for planner in planners]
    found = [each for each in drawn if each is not None]
    return torch.stack(found) if found else None


def _proposals(
    planners: Sequence[SearchStart], states: Tensor, last: Tensor, settings: PlannerSettings
) -> Tensor:
    """The actor's share of the candidates, [B, I, beta N, H, A]; I is 1 without resampling.

    It depends only on state and shifted last plan [B, H, A], so that all iterations' shares are
    drawn in one pass.
    """
    num = round(settings.actor_fraction * settings.num_samples)
    draws = settings.num_iterations if settings.resample_actor else 1
    if num == 0:
        return states.new_empty(len(states), 1, 0, *last.shape[1:])
    noise = torch.stack([planner.normal(draws, num, *last.shape[1:]) for planner in planners])
    found = planners[0].rollout.actor_sequences(
        _starts(states, draws), noise.flatten(0, 1), settings, last.repeat_interleave(draws, dim=0)
    )
    return found.unflatten(0, (-1, draws))


def _fits_another(
    planner: SearchStart, begin: float, iterations: int, settings: PlannerSettings
) -> bool:
    """Whether one more iteration like the ones so far, and the evaluation, are in time."""
    if planner.device.type == 'cuda':
        torch.cuda.synchronize(planner.device)
    elapsed = time.perf_counter() - begin
    return elapsed * (1 + 1 / iterations) + planner.evaluation_s <= settings.time_budget
