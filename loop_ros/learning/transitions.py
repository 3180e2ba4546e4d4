# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the robot reports, as the networks see it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch, Flags, Rows, Transition


def encode(rows: Rows, task: Task) -> Batch:
    """B transitions in the robot's units as the networks see them, in float32 on the CPU.

    States are encoded in float64, actions scaled from physical units to [-1, 1].
    """

    def single(values: Array | Flags) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32)

    return Batch(
        task.encode(torch.from_numpy(rows.observation)).float(),
        single(task.normalize_action(rows.action)),
        single(rows.reward),
        single(rows.cost),
        task.encode(torch.from_numpy(rows.next_observation)).float(),
        single(rows.terminated),
    )


def as_batch(transition: Transition, task: Task) -> Batch:
    """A batch of one; ValueError where the transition is not usable."""
    _check(transition, task)
    return encode(Rows.of([transition]), task)


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
