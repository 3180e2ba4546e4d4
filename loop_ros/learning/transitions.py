# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the robot reports, as the networks see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.task import Task
from loop_ros.types import Batch, Transition


def as_batch(transition: Transition, task: Task) -> Batch:
    """A batch of one on the CPU, from where the replay buffer takes it to its device in one copy.

    ValueError where the transition is not usable.
    """
    _check(transition, task)

    def row(value: Any) -> Tensor:
        return torch.as_tensor(np.atleast_2d(value), dtype=torch.float32)

    def number(value: float) -> Tensor:
        return torch.tensor([value], dtype=torch.float32)

    def state(observation: Any) -> Tensor:
        return task.encode(torch.as_tensor(observation, dtype=torch.float64)).float().unsqueeze(0)

    return Batch(
        state(transition.observation),
        row(task.normalize_action(transition.action)),
        number(transition.reward),
        number(transition.cost),
        state(transition.next_observation),
        number(float(transition.terminated)),
    )


def _check(t: Transition, task: Task) -> None:
    observations, actions = len(task.observation_labels), len(task.action_labels)
    where = f'transition {t.episode}/{t.step}'
    for name, value, size in (
        ('observation', t.observation, observations),
        ('action', t.action, actions),
        ('next_observation', t.next_observation, observations),
    ):
        if np.shape(value) != (size,):
            raise ValueError(f'{where}: {name} has shape {np.shape(value)}, expected ({size},)')
    if not t.is_finite():
        raise ValueError(f'{where}: a number in it is not finite')
