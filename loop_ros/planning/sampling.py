# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Action sequences: drawn around a mean, averaged into the next one, told apart, shifted.

Each function takes any leading dimensions, so that searches of several robots go in one pass.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from loop_ros.planning import weighting
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


def samples(mean: Tensor, variance: Tensor, noise: Tensor, settings: PlannerSettings) -> Tensor:
    """Candidates [..., N, H, A] of Gaussians [..., H, A], clipped to the action range.

    `noise` [..., N, H, A] is standard normal.
    """
    if settings.sample_correlation > 0:
        noise = _coloured(noise.shape[-2], settings.sample_correlation, noise.device) @ noise
    if settings.truncate_samples:
        # Inverse transform of the uniform image of the normal sample: exact, no rejection.
        edge = 0.9772498680518208  # standard normal distribution at 2 sigma
        uniform = torch.special.ndtr(noise)
        noise = torch.special.ndtri((1.0 - edge) + uniform * (2.0 * edge - 1.0))
    return (mean.unsqueeze(-3) + variance.sqrt().unsqueeze(-3) * noise).clamp(-1.0, 1.0)


def update(
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


def runner_up(
    action: Tensor, candidates: Tensor, scores: Scores, settings: PlannerSettings
) -> Tensor:
    """The best [..., 1] of candidates [..., N, H, A] that begin otherwise than a plan's `action`.

    That is, farther from it [..., A] than they do on average. Under a constraint the safe ones come
    first, by return, then the others by cost.
    """
    merit = scores.returns
    if settings.constrained:
        merit = weighting.safe_merit(scores, settings)
    distance = (candidates[..., 0, :] - action.unsqueeze(-2)).norm(dim=-1)
    different = torch.where(distance >= distance.mean(dim=-1, keepdim=True), merit, -torch.inf)
    return different.argmax(dim=-1, keepdim=True)


def shifted(sequence: Tensor) -> Tensor:
    """A sequence [..., H, A] one step later, its last action repeated."""
    return torch.cat((sequence[..., 1:, :], sequence[..., -1:, :]), dim=-2)


@functools.cache
def _coloured(horizon: int, correlation: float, device: torch.device) -> Tensor:
    """The matrix [H, H] that colours white noise [H, A]: x_t = c x_{t-1} + sqrt(1 - c^2) e_t.

    Each x_t has the variance of e_t. Kept on the device.
    """
    with torch.inference_mode(False):
        step = torch.arange(horizon, device=device)
        lag = (step.unsqueeze(1) - step).clamp(min=0)
        new = torch.full_like(step, (1.0 - correlation**2) ** 0.5, dtype=torch.float32)
        new[0] = 1.0  # nothing is before the first step
        return (correlation**lag).tril() * new
