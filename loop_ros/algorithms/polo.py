# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A value of states taught by plans (POLO, Lowrey et al. 2019), as appendix D.2 modifies it."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.algorithms.off_policy import TrainingState
from loop_ros.learning.adam import Adam
from loop_ros.learning.critic_step import CriticStep
from loop_ros.models.networks import TwinCritic
from loop_ros.planning.planner import Planner
from loop_ros.settings import PlannerSettings, SacSettings
from loop_ros.types import Batch


class POLO:
    """Regresses critics without an action to the returns of plans from the batch's states.

    Modified as in the paper: plans are CEM's in the learned ensemble, not in the true dynamics.
    Also, the value is the mean of two networks rather than a soft maximum over many with random
    priors, so it adds no optimism of its own. The actor stays untrained.
    """

    needs_model = True

    def __init__(
        self, critic: TwinCritic, planner: Planner, planning: PlannerSettings, sac: SacSettings
    ) -> None:
        """`planner` plans in a rollout whose terminal value is that of `critic`."""
        self.planner, self.planning = planner, planning
        self.critic = critic
        self.critic_optimizer = Adam(list(critic.parameters()), sac.learning_rate)
        self._critic_step = CriticStep(critic, self.critic_optimizer, sac.batch_size)

    @torch.no_grad()
    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of both critics towards the plans' returns."""
        if len(batch.reward) != self._critic_step.rows:
            self._critic_step = CriticStep(self.critic, self.critic_optimizer, len(batch.reward))
        if target is None:
            target = self.planner.values(batch.state, self.planning)
        inputs = torch.cat((batch.state, torch.zeros_like(batch.action)), dim=-1)
        return {'critic_loss': self._critic_step(inputs, target), 'value': target.mean()}

    def training_state(self) -> TrainingState:
        """The optimiser."""
        return TrainingState({'critic_optimizer': self.critic_optimizer})
