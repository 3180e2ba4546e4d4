# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The actor's tanh-Gaussian and its gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from loop_ros.models.networks import Actor

EDGE = 0.999  # actions beyond it count as it: the policy itself never says 1


class SquashedGaussian:
    """`Actor.sample` from the outputs of its network, differentiable by hand."""

    def __init__(self, out: Tensor, noise: Tensor) -> None:
        """Outputs [B, 2A], standard normal noise [B, A]."""
        mean, self._raw_log_std = out.chunk(2, dim=-1)
        self._log_std = self._raw_log_std.clamp(*Actor.LOG_STD_BOUNDS)
        self._deviation = self._log_std.exp() * noise
        raw = mean + self._deviation
        self.action = torch.tanh(raw)  # [B, A]
        # log(1 - tanh(u)^2) without cancellation, as in the actor
        log_slope = -2.0 * (raw + functional.softplus(-2.0 * raw))
        constant = -0.5 * math.log(2 * math.pi) - 2.0 * math.log(2.0)
        log_prob = constant - 0.5 * noise * noise - self._log_std - log_slope
        self.log_prob = log_prob.sum(-1)  # [B]

    def gradient(self, action_gradient: Tensor, log_prob_gradient: Tensor) -> Tensor:
        """From the gradients of action [b, A] and log-probability [] to those of `out` [b, 2A].

        For the first b rows. With u the action before tanh: da/du = 1 - a^2, d log pi/du = 2 a and,
        at fixed u, d log pi/d log_std = -1.
        """
        action, deviation, log_std, raw_log_std = (
            part[: len(action_gradient)]
            for part in (self.action, self._deviation, self._log_std, self._raw_log_std)
        )
        raw = action_gradient * (1.0 - action * action) + (2.0 * log_prob_gradient) * action
        inside = log_std == raw_log_std  # beyond its bounds it has no gradient
        return torch.cat((raw, (raw * deviation - log_prob_gradient) * inside), dim=-1)


class Likelihood:
    """Of given actions under the actor, from the outputs of its network; differentiable by hand."""

    def __init__(self, out: Tensor, action: Tensor) -> None:
        """Outputs [B, 2A], actions [B, A] in [-1, 1]."""
        mean, self._raw_log_std = out.chunk(2, dim=-1)
        self._log_std = self._raw_log_std.clamp(*Actor.LOG_STD_BOUNDS)
        raw = torch.atanh(action.clamp(-EDGE, EDGE))
        self._noise = (raw - mean) * torch.exp(-self._log_std)
        log_slope = 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
        constant = -0.5 * math.log(2 * math.pi)
        log_prob = constant - 0.5 * self._noise**2 - self._log_std - log_slope
        self.log_prob = log_prob.sum(-1)  # [B]

    def gradient(self, log_prob_gradient: Tensor) -> Tensor:
        """From the gradient of the log-probabilities [B] to that of `out` [B, 2A]."""
        each = log_prob_gradient.unsqueeze(-1)
        of_mean = each * self._noise * torch.exp(-self._log_std)
        inside = self._log_std == self._raw_log_std  # beyond its bounds it has no gradient
        return torch.cat((of_mean, each * (self._noise**2 - 1.0) * inside), dim=-1)
