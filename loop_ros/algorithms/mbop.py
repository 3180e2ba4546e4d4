# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model-based offline planning (Argenson and Dulac-Arnold 2021): what its plans start and end with.

Policies imitate the data, and a value says what the data's own next rewards were. How MBOP plans
with them is a choice of planner settings (`offline_presets.MBOP`). Deviations: policies and value
see the state alone (paper: the action before it too), models are this project's probabilistic ones,
and every sequence is scored in all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.algorithms.off_policy import TrainingState
from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.learning.critic_step import CriticStep
from loop_ros.models.networks import TwinCritic
from loop_ros.models.offline_actors import ClonedActors
from loop_ros.settings import SacSettings
from loop_ros.types import Batch


class MBOP:
    """Trains the imitations and a value of states by regression."""

    needs_model = False

    def __init__(self, actor: ClonedActors, critic: TwinCritic, sac: SacSettings) -> None:
        """Rates and batches are those of `sac`; `critic` sees no action, as POLO's."""
        self.actor, self.critic = actor, critic
        self.actor_optimizer = Adam(list(actor.parameters()), sac.learning_rate)
        self.critic_optimizer = Adam(list(critic.parameters()), sac.learning_rate)
        self._make_steps(sac.batch_size)

    @torch.no_grad()
    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step towards the batch's actions and the given sums of rewards [B]."""
        if target is None:
            raise ValueError('mbop learns from whole episodes: use loop-ros train-offline')
        if len(batch.reward) != self._critic_step.rows:
            self._make_steps(len(batch.reward))
        inputs = torch.cat((batch.state, torch.zeros_like(batch.action)), dim=-1)
        critic_loss = self._critic_step(inputs, target)
        out = self._actor_pass.forward(batch.state.expand(self.actor.num, -1, -1))
        action = torch.tanh(out)
        error = action - batch.action
        gradient = (2.0 / batch.action.numel()) * error * (1.0 - action.square())
        self.actor_optimizer.step(self._actor_pass.backward(gradient))
        return {
            'critic_loss': critic_loss,
            'actor_loss': error.square().mean(),
            'value': target.mean(),
        }

    def training_state(self) -> TrainingState:
        """Optimisers."""
        return TrainingState(
            {
                'actor_optimizer': self.actor_optimizer,
                'critic_optimizer': self.critic_optimizer,
            }
        )

    def _make_steps(self, rows: int) -> None:
        self._critic_step = CriticStep(self.critic, self.critic_optimizer, rows)
        self._actor_pass = Backprop(self.actor.network, rows)
