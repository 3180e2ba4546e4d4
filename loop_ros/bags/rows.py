# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions as columns: what a bag is read into, many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from loop_ros.layout import transition_layout
from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch, Transition

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Rows(NamedTuple):
    """B transitions in the units of the robot's interface; one row each."""

    stamp: Array  # [B], s
    episode: Integers  # [B]
    step: Integers  # [B]
    observation: Array  # [B, O]
    action: Array  # [B, A]
    reward: Array  # [B]
    cost: Array  # [B]
    next_observation: Array  # [B, O]
    terminated: Flags  # [B]
    truncated: Flags  # [B]

    @property
    def size(self) -> int:
        """B."""
        return len(self.stamp)

    def transitions(self) -> Iterator[Transition]:
        """One by one."""
        for row in zip(
            self.stamp.tolist(),
            self.episode.tolist(),
            self.step.tolist(),
            self.observation,
            self.action,
            self.reward.tolist(),
            self.cost.tolist(),
            self.next_observation,
            self.terminated.tolist(),
            self.truncated.tolist(),
            strict=True,
        ):
            yield Transition(*row)

    def batch(self, task: Task) -> Batch:
        """As the networks see them: encoded in float64, then float32."""

        def single(values: Array) -> torch.Tensor:
            return torch.as_tensor(values, dtype=torch.float32)

        return Batch(
            task.encode(torch.from_numpy(self.observation)).float(),
            single(task.normalize_action(self.action)),
            single(self.reward),
            single(self.cost),
            task.encode(torch.from_numpy(self.next_observation)).float(),
            torch.as_tensor(self.terminated, dtype=torch.float32),
        )


def rows_from_values(values: Array, task: Task) -> Rows:
    """Columns of an array [B, D] in the order of `transition_layout`; it is taken as it is."""
    lengths = [length for _, length in transition_layout(task)]
    stamp, episode, step, observation, action, reward, cost, reached, terminated, truncated = (
        np.split(values, np.cumsum(lengths)[:-1], axis=1)
    )
    return Rows(
        stamp[:, 0],
        episode[:, 0].astype(np.int64),
        step[:, 0].astype(np.int64),
        np.ascontiguousarray(observation),
        np.ascontiguousarray(action),
        reward[:, 0],
        cost[:, 0],
        np.ascontiguousarray(reached),
        terminated[:, 0] != 0,
        truncated[:, 0] != 0,
    )


def values_from_rows(rows: Rows) -> Array:
    """The inverse of `rows_from_values`: [B, D]."""
    columns = [np.asarray(part, dtype=np.float64).reshape(rows.size, -1) for part in rows]
    return np.concatenate(columns, axis=1)
