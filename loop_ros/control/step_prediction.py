# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an agent's models predict of steps that were made, beside what then came."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from loop_ros.types import Array

if TYPE_CHECKING:
    from loop_ros.agent import Agent


class StepPrediction(NamedTuple):
    """Of T steps, by K models; on the agent's device."""

    state: Tensor  # [T, S]
    predicted: Tensor  # [K, T, S], mean next state
    next_state: Tensor  # [T, S], the one that came, as far as a model can predict it
    cost: Tensor  # [K, T], of the step, as plans count it


@torch.inference_mode()
def predict_steps(
    agent: Agent, observation: Array, action: Array, next_observation: Array
) -> StepPrediction:
    """Predict steps from observations [T, O] under actions [T, A], physical units."""
    task, models = agent.task, agent.ensemble.num_models
    state, next_state = (
        task.encode(torch.from_numpy(part)).float().to(agent.device)
        for part in (observation, next_observation)
    )
    if task.predictable_next_state is not None:
        next_state = task.predictable_next_state(state, next_state)
    normalized = np.asarray(task.normalize_action(action))
    actions = torch.as_tensor(normalized, dtype=torch.float32, device=agent.device)
    found = agent.ensemble.predict(state.expand(models, -1, -1), actions.expand(models, -1, -1))
    cost = agent.planner.rollout.step_cost(found.next_state, found.cost, agent.settings.planner)
    return StepPrediction(state, found.next_state, next_state, cost)
