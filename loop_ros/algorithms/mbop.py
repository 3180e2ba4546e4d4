# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model-based offline planning (Argenson and Dulac-Arnold 2021): what its plans start and end with.

Policies imitate the data, and a value says what the data's own next rewards were. How MBOP plans
with them is a choice of planner settings (`offline.presets.MBOP`). Deviations: policies and value
see only the state (paper: the action before it too), models are this project's probabilistic ones,
and every sequence is scored in all of them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from loop_ros.algorithms.adam import Adam
from loop_ros.algorithms.off_policy import TrainingState, critic_loss
from loop_ros.models.offline_actors import ClonedActors
from loop_ros.models.parts import Parts
from loop_ros.settings import Settings
from loop_ros.types import Batch


class MBOP:
    """Trains the imitations and a value of states by regression; critics see no action."""

    needs_model, learns_returns, capturable = False, True, False

    def __init__(self, parts: Parts, settings: Settings, generator: torch.Generator) -> None:
        self.actor, self.critic = cast(ClonedActors, parts.actor), parts.critic
        rate = settings.off_policy.learning_rate
        self.actor_optimizer = Adam(self.actor.parameters(), rate)
        self.critic_optimizer = Adam(self.critic.parameters(), rate)

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step towards the batch's actions and the given sums of rewards [B]."""
        if target is None:
            raise ValueError('mbop learns from whole episodes: use loop-ros train-offline')
        none = torch.zeros_like(batch.action)
        critics = critic_loss(self.critic(batch.state, none), target)
        self.critic_optimizer.minimize(critics)

        each = self.actor.each(batch.state.expand(self.actor.num, -1, -1))
        errors = (each - batch.action).square().mean(dim=(1, 2))  # of each imitation
        self.actor_optimizer.minimize(errors.sum())
        return {
            'critic_loss': critics.detach(),
            'actor_loss': errors.detach().mean(),
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
