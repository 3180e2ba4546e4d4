# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policy in the latent action space (Zhou et al. 2020): actions that a decoder knows, no others."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor

from loop_ros import distributed
from loop_ros.algorithms.adam import Adam
from loop_ros.algorithms.off_policy import TrainingState, critic_loss, polyak_update
from loop_ros.models.networks import BatchedMLP
from loop_ros.models.offline_actors import LatentActor
from loop_ros.models.parts import Parts
from loop_ros.settings import Settings
from loop_ros.types import Batch

LOG_STD_BOUNDS = (-4.0, 15.0)  # of the encoder


class PLAS:
    """First a conditional variational autoencoder of the actions, then policy and twin critics.

    The decoder is part of the actor; only training needs the encoder. Hidden layers of policy and
    critics are equally wide here (paper: 400 and 300 units).
    """

    needs_model, learns_returns, capturable = False, False, False

    def __init__(self, parts: Parts, settings: Settings, generator: torch.Generator) -> None:
        self.actor, self.critic = cast(LatentActor, parts.actor), parts.critic
        self.settings, self.generator = settings, generator
        plas, actor = settings.plas, self.actor
        inputs, width = actor.state_dim + actor.action_dim, plas.vae_width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator.initial_seed())
            self.encoder = BatchedMLP(1, [inputs, width, width, 2 * actor.latent_dim])
        self.encoder.to(generator.device)
        self.policy_target = copy.deepcopy(actor.policy).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        vae = [*self.encoder.parameters(), *actor.decoder.parameters()]
        self.vae_optimizer = Adam(vae, plas.vae_learning_rate)
        self.actor_optimizer = Adam(actor.policy.parameters(), plas.actor_learning_rate)
        rate = settings.off_policy.learning_rate
        self.critic_optimizer = Adam(self.critic.parameters(), rate)
        self._updates = torch.zeros(())  # on the CPU: nothing waits for it

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of the autoencoder, then, when its updates are done, of the others."""
        names = 'critic_loss', 'actor_loss', 'vae_loss', 'reconstruction', 'divergence'
        metrics = dict.fromkeys(names, batch.reward.new_zeros(()))
        if int(self._updates) < self.settings.plas.vae_updates:
            metrics |= self._update_vae(batch)
        else:
            target = self.target(batch) if target is None else target
            metrics |= self._update_policy(batch, target)
        self._updates += 1
        return metrics

    def _update_vae(self, batch: Batch) -> dict[str, Tensor]:
        """Down the mean squared reconstruction error plus the weighted divergence of the code.

        The divergence from the standard normal is a mean over dimensions, as the error is.
        """
        shape = len(batch.reward), self.actor.latent_dim
        noise = distributed.normal(shape, self.generator)
        inputs = torch.cat((batch.state, batch.action), dim=-1).unsqueeze(0)
        mean, log_std = self.encoder(inputs)[0].chunk(2, dim=-1)
        log_std = log_std.clamp(*LOG_STD_BOUNDS)
        decoded = self.actor.decode(batch.state, mean + log_std.exp() * noise)
        reconstruction = (decoded - batch.action).square().mean()
        divergence = -0.5 * (1.0 + 2.0 * log_std - mean.square() - log_std.exp().square()).mean()
        loss = reconstruction + self.settings.plas.kl_weight * divergence
        self.vae_optimizer.minimize(loss)
        return {
            'vae_loss': loss.detach(),
            'reconstruction': reconstruction.detach(),
            'divergence': divergence.detach(),
        }

    def _update_policy(self, batch: Batch, target: Tensor) -> dict[str, Tensor]:
        """The critics towards their target [B], then the policy up the first of them."""
        critics = critic_loss(self.critic(batch.state, batch.action), target)
        self.critic_optimizer.minimize(critics)

        actor = -self.critic.first(batch.state, self.actor.mean(batch.state)).mean()
        self.actor_optimizer.minimize(actor)

        tau = self.settings.off_policy.tau
        polyak_update(self.policy_target, self.actor.policy, tau)
        polyak_update(self.critic_target, self.critic, tau)
        return {'critic_loss': critics.detach(), 'actor_loss': actor.detach()}

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """The target [B]: r + gamma (lambda min Q' + (1 - lambda) max Q') of the slow copies."""
        latent = LatentActor.LIMIT * torch.tanh(self.policy_target(batch.next_state[None])[0])
        action = self.actor.decode(batch.next_state, latent)
        values = self.critic_target(batch.next_state, action)
        weight = self.settings.plas.min_weight
        value = weight * values.amin(dim=0) + (1.0 - weight) * values.amax(dim=0)
        discount = self.settings.off_policy.discount * (1.0 - batch.terminated)
        return batch.reward + discount * value

    def training_state(self) -> TrainingState:
        """Optimisers, encoder, slow copies and how far it is."""
        return TrainingState(
            {
                'vae_optimizer': self.vae_optimizer,
                'actor_optimizer': self.actor_optimizer,
                'critic_optimizer': self.critic_optimizer,
            },
            {
                'encoder': self.encoder,
                'policy_target': self.policy_target,
                'critic_target': self.critic_target,
            },
            {'updates': self._updates},
        )
