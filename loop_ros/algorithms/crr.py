# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Critic regularised regression (Wang et al. 2020): imitate what was done where it was good."""

from __future__ import annotations

import copy
import math
from typing import cast

import torch
from torch import Tensor

from loop_ros import distributed
from loop_ros.algorithms.adam import Adam
from loop_ros.algorithms.off_policy import TrainingState, critic_loss, polyak_update
from loop_ros.models.networks import Actor
from loop_ros.models.parts import Parts
from loop_ros.settings import Settings
from loop_ros.types import Batch


class CRR:
    """Updates an actor and a twin critic in place; nothing but batches is asked of the data.

    Two deviations: the paper's critic is distributional, here it is the lower of SAC's twins;
    the paper's target networks jump every 100 steps, here they follow at the Polyak rate.
    """

    needs_model, learns_returns, capturable = False, False, False

    def __init__(self, parts: Parts, settings: Settings, generator: torch.Generator) -> None:
        self.actor, self.critic = cast(Actor, parts.actor), parts.critic
        self.settings, self.generator = settings, generator
        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        rate = settings.off_policy.learning_rate
        self.actor_optimizer = Adam(self.actor.parameters(), rate)
        self.critic_optimizer = Adam(self.critic.parameters(), rate)

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of critics and actor, and of their targets towards them."""
        target = self.target(batch) if target is None else target
        critics = critic_loss(self.critic(batch.state, batch.action), target)
        self.critic_optimizer.minimize(critics)

        mean, log_std = self.actor.gaussian(batch.state)
        weights = self.weights(batch, mean.detach(), log_std.detach())
        actor = -(weights * self.actor.log_prob(mean, log_std, batch.action)).mean()
        self.actor_optimizer.minimize(actor)

        tau = self.settings.off_policy.tau
        polyak_update(self.critic_target, self.critic, tau)
        polyak_update(self.actor_target, self.actor, tau)
        return {
            'critic_loss': critics.detach(),
            'actor_loss': actor.detach(),
            'weight': weights.mean(),
        }

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """The target r + gamma Q'(s', a') [B]; Q' and the policy of a' are the slow copies."""
        noise = distributed.normal(batch.action.shape, self.generator)
        action = self.actor_target.act(batch.next_state, noise)
        value = self.critic_target(batch.next_state, action).amin(dim=0)
        discount = self.settings.off_policy.discount * (1.0 - batch.terminated)
        return batch.reward + discount * value

    @torch.no_grad()
    def weights(self, batch: Batch, mean: Tensor, log_std: Tensor) -> Tensor:
        """f(Q, pi, s, a) [B]: by how much better the stored action is than the policy's mean of m.

        `mean` and `log_std` [B, A] are the policy's Gaussian in the batch's states.
        """
        settings = self.settings.crr
        noise = distributed.normal((settings.num_samples, *mean.shape), self.generator, dim=1)
        actions = torch.tanh(mean + log_std.exp() * noise)
        states = batch.state.repeat(settings.num_samples, 1)
        values = self.critic(states, actions.flatten(0, 1)).amin(dim=0).view(noise.shape[:2])
        advantage = self.critic(batch.state, batch.action).amin(dim=0) - values.mean(dim=0)
        if settings.weights == 'binary':
            return (advantage > 0.0).to(advantage.dtype)
        # Clamped before the exponential, which has no largest number then.
        return (advantage / settings.beta).clamp(max=math.log(settings.max_weight)).exp()

    def training_state(self) -> TrainingState:
        """Optimisers and slow copies."""
        return TrainingState(
            {
                'actor_optimizer': self.actor_optimizer,
                'critic_optimizer': self.critic_optimizer,
            },
            {'actor_target': self.actor_target, 'critic_target': self.critic_target},
        )
