# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A value of states taught by plans (POLO, Lowrey et al. 2019), as appendix D.2 modifies it."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.algorithms.adam import Adam
from loop_ros.algorithms.off_policy import TrainingState, critic_loss
from loop_ros.planning.planner import Planner
from loop_ros.settings import Settings
from loop_ros.types import Batch


class POLO:
    """Regresses critics without an action to the returns of plans from the batch's states.

    Modified as in the paper: plans are CEM's in the learned ensemble, not in the true dynamics.
    Also, the value is the mean of two networks rather than a soft maximum over many with random
    priors, so it adds no optimism of its own. The actor stays untrained.
    """

    needs_model, learns_returns, capturable = True, False, False

    def __init__(self, planner: Planner, settings: Settings) -> None:
        """`planner` ends its plans with the value that is taught."""
        self.planner, self.settings = planner, settings
        self.critic = planner.rollout.parts.critic
        rate = settings.off_policy.learning_rate
        self.critic_optimizer = Adam(self.critic.parameters(), rate)

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of both critics towards the plans' returns."""
        if target is None:
            target = self.planner.values(batch.state, self.settings.planner).clone()
        none = torch.zeros_like(batch.action)
        critics = critic_loss(self.critic(batch.state, none), target)
        self.critic_optimizer.minimize(critics)
        return {'critic_loss': critics.detach(), 'value': target.mean()}

    def training_state(self) -> TrainingState:
        """The optimiser."""
        return TrainingState({'critic_optimizer': self.critic_optimizer})
