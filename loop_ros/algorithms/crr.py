# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Critic regularised regression (Wang et al. 2020): imitate what was done where it was good."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from loop_ros.algorithms.off_policy import TrainingState
from loop_ros.learning import processes
from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.learning.critic_step import CriticStep
from loop_ros.learning.squashed_gaussian import Likelihood
from loop_ros.models.networks import Actor, TwinCritic
from loop_ros.settings import CrrSettings, SacSettings
from loop_ros.types import Batch


class CRR:
    """Updates an actor and a twin critic in place; nothing but batches is asked of the data.

    Two deviations: the paper's critic is distributional, here it is the lower of SAC's twins;
    the paper's target networks jump every 100 steps, here they follow at SAC's Polyak rate.
    """

    needs_model = False

    def __init__(
        self,
        actor: Actor,
        critic: TwinCritic,
        sac: SacSettings,
        settings: CrrSettings,
        generator: torch.Generator,
    ) -> None:
        """Discount and rates of learning are those of `sac`."""
        self.actor, self.critic, self.settings, self.sac = actor, critic, settings, sac
        self.actor_target = copy.deepcopy(actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(critic).requires_grad_(False)
        self.actor_optimizer = Adam(list(actor.parameters()), sac.learning_rate)
        self.critic_optimizer = Adam(list(critic.parameters()), sac.learning_rate)
        self.generator = generator
        self._make_steps(sac.batch_size)

    @torch.no_grad()
    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of critics and actor, and of their targets towards them."""
        if len(batch.reward) != self._critic_step.rows:
            self._make_steps(len(batch.reward))
        stored = torch.cat((batch.state, batch.action), dim=-1)
        critic_loss = self._critic_step(stored, self.target(batch) if target is None else target)
        out = self._actor_pass.forward(batch.state.unsqueeze(0))[0]
        weights = self.weights(batch, out)
        likelihood = Likelihood(out, batch.action)
        gradient = likelihood.gradient(-weights / len(weights))
        self.actor_optimizer.step(self._actor_pass.backward(gradient.unsqueeze(0)))
        for slow, network in (
            (self.critic_target, self.critic),
            (self.actor_target, self.actor),
        ):
            torch._foreach_lerp_(
                list(slow.parameters()),
                [p.detach() for p in network.parameters()],
                self.sac.tau,
            )
        return {
            'critic_loss': critic_loss,
            'actor_loss': -(weights * likelihood.log_prob).mean(),
            'weight': weights.mean(),
        }

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """The target r + gamma Q'(s', a') [B]; Q' and the policy of a' are the slow copies."""
        noise = processes.normal(batch.action.shape, self.generator)
        action = self.actor_target.act(batch.next_state, noise)
        value = self.critic_target(batch.next_state, action).amin(dim=0)
        return batch.reward + self.sac.discount * (1.0 - batch.terminated) * value

    @torch.no_grad()
    def weights(self, batch: Batch, out: Tensor) -> Tensor:
        """f(Q, pi, s, a) [B]: by how much better the stored action is than the policy's mean of m.

        `out` [B, 2A] is what the actor's network says of the states.
        """
        mean, log_std = out.chunk(2, dim=-1)
        std = log_std.clamp(*Actor.LOG_STD_BOUNDS).exp()
        num, rows = self.settings.num_samples, len(batch.reward)
        noise = processes.normal((num, *mean.shape), self.generator, dim=1)
        actions = torch.tanh(mean + std * noise)
        states = batch.state.repeat(num, 1)
        values = self.critic(states, actions.flatten(0, 1)).amin(dim=0).view(num, rows)
        advantage = self.critic(batch.state, batch.action).amin(dim=0) - values.mean(dim=0)
        if self.settings.weights == 'binary':
            return (advantage > 0.0).to(advantage.dtype)
        # Clamped before the exponential, which has no largest number then.
        return (advantage / self.settings.beta).clamp(max=math.log(self.settings.max_weight)).exp()

    def training_state(self) -> TrainingState:
        """Optimisers and slow copies."""
        return TrainingState(
            {
                'actor_optimizer': self.actor_optimizer,
                'critic_optimizer': self.critic_optimizer,
            },
            {'actor_target': self.actor_target, 'critic_target': self.critic_target},
        )

    def _make_steps(self, rows: int) -> None:
        self._critic_step = CriticStep(self.critic, self.critic_optimizer, rows)
        self._actor_pass = Backprop(self.actor.network, rows)
