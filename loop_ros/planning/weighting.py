# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a planner ARC, safeARC or CEM: how scores become the weights of a new mean.

Each rule maps scores [..., N] of N sequences to N weights that sum to one, without leaving the
device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores

SMALLEST_LEAD = 1e-6  # of return: all sequences are worth the same


def arc(scores: Scores, settings: PlannerSettings) -> Tensor:
    """exp(R / eta), normalised (Eq. 8; Alg. 3, line 27)."""
    return _boltzmann(scores.returns, settings)


def safe_arc(scores: Scores, settings: PlannerSettings) -> Tensor:
    """exp(R / eta) over the safe sequences; with fewer than m safe ones, exp(-C / eta) over all.

    Alg. 4, lines 29 to 38. Safe is C <= d0 as Eq. 10 has it, so that d0 = 0 asks for no cost
    rather than for the impossible.
    """
    safe = scores.costs <= settings.d0
    rewarding = torch.where(safe, scores.returns, -torch.inf)
    enough = safe.sum(dim=-1, keepdim=True) >= settings.min_safe
    return _boltzmann(torch.where(enough, rewarding, -scores.costs), settings)


def _boltzmann(merit: Tensor, settings: PlannerSettings) -> Tensor:
    """exp(merit / eta), normalised; a merit of -inf weighs nothing."""
    eta: Tensor | float = settings.temperature
    if settings.temperature_unit == 'lead':
        finite = torch.where(merit.isfinite(), merit, torch.nan)
        median = finite.nanmedian(dim=-1, keepdim=True).values
        lead = merit.amax(dim=-1, keepdim=True) - median
        eta = eta * lead.clamp(min=SMALLEST_LEAD)
    return torch.softmax(merit / eta, dim=-1)


def cem(scores: Scores, settings: PlannerSettings) -> Tensor:
    """Equal weights for the sequences of highest return (PETS)."""
    return _elites(scores.returns, settings)


def safe_cem(scores: Scores, settings: PlannerSettings) -> Tensor:
    """Elites among the safe sequences by return; too few safe ones are filled up by lowest cost.

    The constrained cross-entropy method (Wen and Topcu 2018), for safePETS.
    """
    return _elites(safe_merit(scores, settings), settings)


def safe_merit(scores: Scores, settings: PlannerSettings) -> Tensor:
    """What orders sequences: safe ones by return, below them the others by cost, then diverged."""
    safe = scores.costs <= settings.d0
    best = scores.returns.amax(dim=-1, keepdim=True)
    lowest = torch.where(scores.diverged, torch.inf, scores.returns).amin(dim=-1, keepdim=True)
    merit = scores.returns - best
    return torch.where(safe, merit, (lowest - best) - 1.0 - (scores.costs - settings.d0))


def _elites(merit: Tensor, settings: PlannerSettings) -> Tensor:
    count = max(1, round(settings.elite_fraction * merit.shape[-1]))
    elites = merit.topk(count).indices
    return torch.zeros_like(merit).scatter(-1, elites, 1.0 / count)  # assigning would copy a number


RULES = {'arc': arc, 'safe_arc': safe_arc, 'cem': cem, 'safe_cem': safe_cem}


def weigh(scores: Scores, settings: PlannerSettings) -> Tensor:
    """Weights by the rule of the settings' algorithm; equal ones where all sequences diverged."""
    weights = RULES[settings.algorithm](scores, settings)
    return weights.nan_to_num(1.0 / weights.shape[-1])
