# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft actor-critic with a learned temperature (Haarnoja et al. 2018), twin critics or more."""

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


class SAC:
    """Updates an actor and its critics in place."""

    needs_model, learns_returns, capturable = False, False, True

    def __init__(self, parts: Parts, settings: Settings, generator: torch.Generator) -> None:
        self.actor, self.critic = cast(Actor, parts.actor), parts.critic
        self.settings, self.generator = settings, generator
        # CrossQ has no slow copy: its batches hold the states that follow, too.
        self._has_copy = not settings.off_policy.batch_norm
        self.critic_target = self.critic
        if self._has_copy:
            self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.target_entropy = settings.sac.target_entropy * self.actor.action_dim
        initial = math.log(max(settings.sac.initial_entropy_coef, 1e-8))
        self.log_entropy_coef = torch.tensor(initial, device=generator.device, requires_grad=True)
        rate = settings.off_policy.learning_rate
        self.actor_optimizer = Adam(self.actor.parameters(), rate)
        self.critic_optimizer = Adam(self.critic.parameters(), rate)
        self.entropy_optimizer = Adam([self.log_entropy_coef], rate)
        self._policy_optimizer = self.actor_optimizer + self.entropy_optimizer
        self._drop = self._drop_units if settings.sac.dropout else None

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of critics, actor and temperature, and of the targets towards them.

        The critics learn the Bellman target, or the one [B] that is given.
        """
        noise, next_noise = self._noise(batch)
        return self._learn_values(batch, target, next_noise) | self._learn_policy(batch, noise)

    def update_critics(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """The same without actor and temperature."""
        _, next_noise = self._noise(batch)
        return self._learn_values(batch, target, next_noise)

    def _learn_values(
        self, batch: Batch, target: Tensor | None, next_noise: Tensor
    ) -> dict[str, Tensor]:
        entropy_coef = self.log_entropy_coef.detach().exp()
        if target is None and not self._has_copy:
            values, target = self._with_next(batch, next_noise, entropy_coef)
        else:
            if target is None:
                target = self.target(batch, next_noise, entropy_coef)
            values = self.critic(batch.state, batch.action, drop=self._drop, learn=True)
        critics = critic_loss(values, target)
        self.critic_optimizer.minimize(critics)
        if self._has_copy:
            polyak_update(self.critic_target, self.critic, self.settings.off_policy.tau)
        return {'critic_loss': critics.detach()}

    def _learn_policy(self, batch: Batch, noise: Tensor) -> dict[str, Tensor]:
        entropy_coef = self.log_entropy_coef.detach().exp()
        action, log_prob = self.actor.sample(batch.state, noise)
        values = self.critic(batch.state, action, drop=self._drop)
        # The lower of twins, the mean of an ensemble (REDQ).
        value = values.amin(dim=0) if self.critic.num == 2 else values.mean(dim=0)
        actor = (entropy_coef * log_prob - value).mean()
        entropy = -log_prob.detach().mean()
        temperature = self.log_entropy_coef * (entropy - self.target_entropy)
        # No gradient of one reaches the other's parameters: one step serves both.
        self._policy_optimizer.minimize(actor + temperature)
        return {'actor_loss': actor.detach(), 'entropy': entropy, 'entropy_coef': entropy_coef}

    @torch.no_grad()
    def target(self, batch: Batch, next_noise: Tensor, entropy_coef: Tensor) -> Tensor:
        """The Bellman target [B] (Eq. 1 with SAC's policy and, where set, its entropy bonus).

        `next_noise` [B, A], standard normal, draws the next actions.
        """
        action, log_prob = self.actor.sample(batch.next_state, next_noise)
        value = self.target_value(batch.next_state, action)
        return self._bellman(batch, value, entropy_coef * log_prob)

    def _bellman(self, batch: Batch, value: Tensor, price: Tensor) -> Tensor:
        """The target [B] of values and prices of randomness [B], those of the next actions."""
        if self.settings.sac.entropy_in_target:
            value = value - price
        discount = self.settings.off_policy.discount * (1.0 - batch.terminated)
        return batch.reward + discount * value

    def _with_next(
        self, batch: Batch, next_noise: Tensor, entropy_coef: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values [num, B] and their target [B], both under the statistics of one batch (CrossQ)."""
        with torch.no_grad():
            action, log_prob = self.actor.sample(batch.next_state, next_noise)
        states = torch.cat((batch.state, batch.next_state))
        actions = torch.cat((batch.action, action))
        values, next_values = self.critic(states, actions, drop=self._drop, learn=True).chunk(2, 1)
        value = next_values.detach()[self._drawn()].amin(dim=0)
        return values, self._bellman(batch, value, entropy_coef * log_prob)

    @torch.no_grad()
    def target_value(self, state: Tensor, action: Tensor) -> Tensor:
        """What the target critics say of states [B, S] and actions [B, A], [B].

        The lowest of all, or of as many as `sac.target_critics` says, drawn at each call (REDQ).
        """
        drawn = self._drawn()
        which = None if isinstance(drawn, slice) else drawn
        return self.critic_target(state, action, which, self._drop).amin(dim=0)

    def _drawn(self) -> slice | Tensor:
        """Which critics' lowest value is the target: all, or `sac.target_critics` of them."""
        count = self.settings.sac.target_critics
        if count >= self.critic.num:
            return slice(None)
        device = self.generator.device
        keys = torch.rand(self.critic.num, generator=self.generator, device=device)
        return keys.argsort()[:count]

    def training_state(self) -> TrainingState:
        """Optimisers, target critics and temperature."""
        optimizers = {
            'actor_optimizer': self.actor_optimizer,
            'critic_optimizer': self.critic_optimizer,
            'entropy_optimizer': self.entropy_optimizer,
        }
        networks = {'critic_target': self.critic_target} if self._has_copy else {}
        return TrainingState(optimizers, networks, {'log_entropy_coef': self.log_entropy_coef})

    def _drop_units(self, hidden: Tensor) -> Tensor:
        """Hidden units [num, B, width] without a share of them, the others larger (DroQ)."""
        kept = 1.0 - self.settings.sac.dropout
        mask = distributed.bernoulli(kept, hidden.shape, self.generator, dim=1)
        return hidden * mask / kept

    def _noise(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the actions in the states and in the next ones, [B, A] each."""
        shape = 2, *batch.action.shape
        noise = distributed.normal(shape, self.generator, dim=1)
        return noise[0], noise[1]
