# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an agent's models foretell of steps that were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from loop_ros.types import Array

if TYPE_CHECKING:
    from loop_ros.agent import Agent


class Foretold(NamedTuple):
    """Of T steps, by K models; on the agent's device."""

    start: Tensor  # [T, S]
    state: Tensor  # [K, T, S], mean next state
    reached: Tensor  # [T, S], the next state that came, as far as one can be foretold
    cost: Tensor  # [K, T], of the step, as plans count it


@torch.inference_mode()
def foretell(agent: Agent, before: Array, action: Array, after: Array) -> Foretold:
    """From observations [T, O] under actions [T, A], physical units, to observations [T, O]."""
    task, models = agent.task, agent.ensemble.num_models
    state, reached = (
        task.encode(torch.from_numpy(part)).float().to(agent.device) for part in (before, after)
    )
    if task.predictable_next_state is not None:
        reached = task.predictable_next_state(state, reached)
    normalized = np.asarray(task.normalize_action(action))
    actions = torch.as_tensor(normalized, dtype=torch.float32, device=agent.device)
    said = agent.ensemble.predict(state.expand(models, -1, -1), actions.expand(models, -1, -1))
    cost = agent.planner.rollout.step_cost(said.next_state, said.cost, agent.settings.planner)
    return Foretold(state, said.next_state, reached, cost)
