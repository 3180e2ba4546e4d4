# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft actor-critic with twin critics and a learned temperature (Haarnoja et al. 2018)."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor
from torch.nn import functional

from loop_ros.models.networks import Actor, TwinCritic
from loop_ros.settings import SacSettings
from loop_ros.types import Batch


class SAC:
    """Updates an actor and a twin critic in place."""

    def __init__(
        self,
        actor: Actor,
        critic: TwinCritic,
        action_dim: int,
        settings: SacSettings,
        generator: torch.Generator,
    ) -> None:
        self.actor, self.critic, self.settings = actor, critic, settings
        self.critic_target = copy.deepcopy(critic).requires_grad_(False)
        self.generator = generator
        self.action_dim = action_dim
        self.target_entropy = settings.target_entropy * action_dim
        device = next(actor.parameters()).device
        initial = math.log(max(settings.initial_entropy_coef, 1e-8))
        self.log_entropy_coef = torch.tensor(initial, device=device, requires_grad=True)
        self.actor_optimizer = self._adam(list(actor.parameters()))
        self.critic_optimizer = self._adam(list(critic.parameters()))
        self.entropy_optimizer = self._adam([self.log_entropy_coef])

    def _adam(self, parameters: list[Tensor]) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate, fused=True)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One gradient step of critics, actor and temperature, and of the targets towards them."""
        entropy_coef = self.log_entropy_coef.detach().exp()
        critic_loss = self._update_critic(batch, entropy_coef)
        actor_loss, log_prob = self._update_actor(batch.state, entropy_coef)
        self._step(
            self.entropy_optimizer,
            -self.log_entropy_coef * (log_prob.mean() + self.target_entropy),
        )
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.critic_target.parameters()),
                list(self.critic.parameters()),
                self.settings.tau,
            )
        return {
            'critic_loss': critic_loss,
            'actor_loss': actor_loss,
            'entropy': -log_prob.mean(),
            'entropy_coef': entropy_coef,
        }

    def target(self, batch: Batch, entropy_coef: Tensor) -> Tensor:
        """The Bellman target [B] (Eq. 1 with SAC's policy and, where set, its entropy bonus)."""
        with torch.no_grad():
            action, log_prob = self.actor.sample(batch.next_state, self._noise(batch.action))
            value = self.critic_target(batch.next_state, action).amin(dim=0)
            if self.settings.entropy_in_target:
                value = value - entropy_coef * log_prob
            return batch.reward + self.settings.discount * (1.0 - batch.terminated) * value

    def _update_critic(self, batch: Batch, entropy_coef: Tensor) -> Tensor:
        target = self.target(batch, entropy_coef)
        values = self.critic(batch.state, batch.action)
        loss = functional.mse_loss(values, target.expand_as(values)) * 2.0
        self._step(self.critic_optimizer, loss)
        return loss.detach()

    def _update_actor(self, state: Tensor, entropy_coef: Tensor) -> tuple[Tensor, Tensor]:
        action, log_prob = self.actor.sample(
            state, self._noise(state.new_empty(len(state), self.action_dim))
        )
        self.critic.requires_grad_(False)  # only the actor learns from this pass
        value = self.critic(state, action).amin(dim=0)
        loss = (entropy_coef * log_prob - value).mean()
        self._step(self.actor_optimizer, loss)
        self.critic.requires_grad_(True)
        return loss.detach(), log_prob.detach()

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, device=like.device)

    @staticmethod
    def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
