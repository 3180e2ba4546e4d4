# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What critics may learn instead of SAC's own target: SARSA's, and value expansion's."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from loop_ros.algorithms.sac import SAC
from loop_ros.types import Batch


class Model(Protocol):
    """What value expansion asks of model rollouts."""

    def step(self, state: Tensor, action: Tensor) -> Batch:
        """What the model predicts of each action [B, A] in its state [B, S]."""

    def resampled(self, batch: Batch) -> Tensor:
        """Whether each transition reaches a goal of which no model can say where the next is."""

    def action_noise(self, count: int) -> Tensor:
        """Standard normal noise of `count` actions."""


@torch.no_grad()
def sarsa_target(batch: Batch, next_action: Tensor, sac: SAC) -> Tensor:
    """The target r + gamma Q(s', a') [B]; a' [B, A] was taken next (Eq. 71)."""
    value = sac.target_value(batch.next_state, next_action)
    return batch.reward + sac.settings.off_policy.discount * (1.0 - batch.terminated) * value


@torch.no_grad()
def expansion_target(batch: Batch, sac: SAC, model: Model, horizon: int) -> Tensor:
    """H rewards, one of the batch and H-1 of the actor in the ensemble, then Q (MBVE) [B].

    With the entropy in the target, each of the actor's actions adds its bonus. Nothing follows the
    end of an episode. Where a goal is reached that is then drawn elsewhere, Q follows at once.
    """
    discount, count = sac.settings.off_policy.discount, len(batch.reward)
    bonus = sac.log_entropy_coef.exp() if sac.settings.sac.entropy_in_target else 0.0
    total, state, active = batch.reward, batch.next_state, ~model.resampled(batch)
    weight = discount * (1.0 - batch.terminated)  # of what comes next
    for _ in range(horizon - 1):
        action, log_prob = sac.actor.sample(state, model.action_noise(count))
        step = model.step(state, action)
        total = torch.where(active, total + weight * (step.reward - bonus * log_prob), total)
        weight = torch.where(active, discount * (1.0 - step.terminated) * weight, weight)
        state = torch.where(active.unsqueeze(1), step.next_state, state)
        active = active & ~model.resampled(step)
    action, log_prob = sac.actor.sample(state, model.action_noise(count))
    value = sac.target_value(state, action)
    return total + weight * (value - bonus * log_prob)
