# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Soft actor-critic with twin critics and a learned temperature (Haarnoja et al. 2018)."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from loop_ros.algorithms.off_policy import TrainingState
from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.learning.critic_step import CriticStep, twice
from loop_ros.learning.cuda_graph import Graphed
from loop_ros.learning.squashed_gaussian import SquashedGaussian
from loop_ros.models.networks import Actor, TwinCritic
from loop_ros.settings import SacSettings
from loop_ros.types import Batch

LOSSES = ('critic_loss', 'actor_loss', 'entropy', 'entropy_coef')


class SAC:
    """Updates an actor and a twin critic in place.

    Gradients are worked out without autograd (`Backprop`): networks this small spend a third of
    an update on its bookkeeping.
    """

    needs_model = False

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
        self.device = next(actor.parameters()).device
        initial = math.log(max(settings.initial_entropy_coef, 1e-8))
        self.log_entropy_coef = torch.tensor(initial, device=self.device)
        self.actor_optimizer = Adam(list(actor.parameters()), settings.learning_rate)
        self.critic_optimizer = Adam(list(critic.parameters()), settings.learning_rate)
        self.entropy_optimizer = Adam([self.log_entropy_coef], settings.learning_rate)
        self._work: _Workspace | None = None

    @torch.no_grad()
    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of critics, actor and temperature, and of the targets towards them.

        The critics learn the Bellman target, or the one [B] that is given.
        """
        work, given = self._work, target is not None
        if work is None or (work.rows, work.given) != (len(batch.reward), given):
            work = self._work = _Workspace(self, batch, given)
        work.take(batch, target)
        work.update()
        return dict(zip(LOSSES, work.losses.clone().unbind(), strict=True))

    @torch.no_grad()
    def target(self, batch: Batch, entropy_coef: Tensor) -> Tensor:
        """The Bellman target [B] (Eq. 1 with SAC's policy and, where set, its entropy bonus)."""
        work = _Workspace(self, batch)
        work.take(batch)
        return work.target(work.sample(), entropy_coef)

    def training_state(self) -> TrainingState:
        """Optimisers, target critics and temperature."""
        optimizers = {
            'actor_optimizer': self.actor_optimizer,
            'critic_optimizer': self.critic_optimizer,
            'entropy_optimizer': self.entropy_optimizer,
        }
        return TrainingState(
            optimizers,
            {'critic_target': self.critic_target},
            {'log_entropy_coef': self.log_entropy_coef},
        )


class _Workspace:
    """An update's batch, passes and gradients: fixed memory for a number of rows B."""

    def __init__(self, sac: SAC, like: Batch, given: bool = False) -> None:
        """`given`: the critics' target comes with the batch."""
        self.sac, self.rows, self.given = sac, len(like.reward), given
        states, new = like.state.shape[1], sac.log_entropy_coef.new_empty
        # Inputs of the critics [B, S+A]: as stored, with the policy's action, and one step on.
        self._stored = new(self.rows, states + sac.action_dim)
        self._both = new(2 * self.rows, states + sac.action_dim)
        self._now, self._next = self._both.split(self.rows)
        self._reward, self._going_on, self._target = new(3, self.rows).unbind()
        self._noise = new(2 * self.rows, sac.action_dim)
        self._actions = slice(states, None)
        self._critic_step = CriticStep(sac.critic, sac.critic_optimizer, self.rows)
        self._critic = self._critic_step.network
        self._critic_target = Backprop(sac.critic_target.network, self.rows)
        self._actor = Backprop(sac.actor.network, 2 * self.rows, trained=self.rows)
        self.losses = new(len(LOSSES))
        self.update = Graphed(self._update, sac.device, sac.generator)

    def take(self, batch: Batch, target: Tensor | None = None) -> None:
        """Copy a batch in, and the critics' target where it is given."""
        if target is not None:
            self._target.copy_(target)
        states = batch.state.shape[1]
        torch.cat((batch.state, batch.action), dim=-1, out=self._stored)
        torch.cat((batch.state, batch.next_state), out=self._both[:, :states])
        self._reward.copy_(batch.reward)
        torch.sub(1.0, batch.terminated, out=self._going_on)

    def _update(self) -> None:
        sac = self.sac
        entropy_coef = sac.log_entropy_coef.exp()
        policy = self.sample()
        target = self._target if self.given else self.target(policy, entropy_coef)
        critic_loss = self._critic_step(self._stored, target)
        actor_loss, log_prob = self._update_actor(policy, entropy_coef)
        sac.entropy_optimizer.step([-(log_prob + sac.target_entropy)])
        torch._foreach_lerp_(
            self._critic_target.parameters, self._critic.parameters, sac.settings.tau
        )
        torch.stack((critic_loss, actor_loss, -log_prob, entropy_coef), out=self.losses)

    def sample(self) -> SquashedGaussian:
        """The policy's actions [2B, A] in the states and in those one step on, in one pass."""
        self._noise.normal_(generator=self.sac.generator)
        states = self._both[:, : self._actions.start].unsqueeze(0)
        policy = SquashedGaussian(self._actor.forward(states)[0], self._noise)
        self._both[:, self._actions] = policy.action
        return policy

    def target(self, policy: SquashedGaussian, entropy_coef: Tensor) -> Tensor:
        """The Bellman target [B]."""
        value = self._critic_target.forward(twice(self._next)).squeeze(-1).amin(dim=0)
        if self.sac.settings.entropy_in_target:
            value = value - entropy_coef * policy.log_prob[self.rows :]
        return self._reward + self.sac.settings.discount * self._going_on * value

    def _update_actor(
        self, policy: SquashedGaussian, entropy_coef: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Up the lower critic, less the temperature's share of log pi [2B]; returns both means."""
        values = self._critic.forward(twice(self._now))
        lower = values.amin(dim=0)
        is_lower = (values == lower).to(values.dtype)  # ties share the gradient
        towards = is_lower / (-self.rows * is_lower.sum(dim=0))
        action_gradient = self._critic.input_gradient(towards, self._actions).sum(dim=0)
        gradient = policy.gradient(action_gradient, entropy_coef / self.rows)
        self.sac.actor_optimizer.step(self._actor.backward(gradient.unsqueeze(0)))
        log_prob = policy.log_prob[: self.rows].mean()
        return entropy_coef * log_prob - lower.mean(), log_prob
