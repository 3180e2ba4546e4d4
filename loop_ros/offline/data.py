# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed data in whole episodes: which are held out, where they start, what they returned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from loop_ros.learning.transitions import encode
from loop_ros.sim.task import Task
from loop_ros.types import Batch, Rows


@dataclass(frozen=True)
class OfflineData:
    """N transitions of E whole episodes, in order, as the networks see them; on the CPU."""

    batch: Batch  # [N]
    episode: Tensor  # [N], 0, 0, ..., 1, 1, ...
    starts_at_zero: Tensor  # [E], whether an episode was recorded from its first step

    @classmethod
    def from_rows(cls, parts: Iterable[Rows], task: Task) -> Self:
        """Encode chunks of rows, as `BagReader.batches` gives them, for a task.

        An episode ends where its number changes and where a step is missing. ValueError where
        there is no transition.
        """
        batches, numbers, steps, ended = [], [], [], []
        for rows in parts:
            batches.append(encode(rows, task))
            numbers.append(rows.episode)
            steps.append(rows.step)
            ended.append(rows.terminated | rows.truncated)
        if not batches or not sum(len(part) for part in numbers):
            raise ValueError(f"no transition of task '{task.name}' in these bags")
        number, step = np.concatenate(numbers), np.concatenate(steps)
        end = np.concatenate(ended)
        new = np.ones(len(number), dtype=bool)
        new[1:] = (number[1:] != number[:-1]) | (step[1:] != step[:-1] + 1) | end[:-1]
        batch = Batch(*(torch.cat(part) for part in zip(*batches, strict=True)))
        episode = torch.from_numpy(np.cumsum(new) - 1)
        return cls(batch, episode, torch.from_numpy(step[new] == 0))

    def __len__(self) -> int:
        return len(self.episode)

    @property
    def num_episodes(self) -> int:
        """The number of episodes E."""
        return len(self.starts_at_zero)

    def held_out(self, fraction: float, seed: int) -> Tensor:
        """Which transitions [N] are of held-out episodes: a share of them, at least one.

        ValueError where there is but one episode.
        """
        if self.num_episodes < 2:
            raise ValueError(
                'only one episode: training needs another one to hold out; record more, or '
                'shorter ones'
            )
        count = min(max(1, round(fraction * self.num_episodes)), self.num_episodes - 1)
        order = torch.randperm(self.num_episodes, generator=torch.Generator().manual_seed(seed))
        chosen = torch.zeros(self.num_episodes, dtype=torch.bool)
        chosen[order[:count]] = True
        return chosen[self.episode]

    def first_rows(self) -> Tensor:
        """The row [E] that each episode begins with."""
        return torch.searchsorted(self.episode, torch.arange(self.num_episodes))

    def returns(self) -> Tensor:
        """The sum of rewards of each episode [E]."""
        return torch.zeros(self.num_episodes).index_add(0, self.episode, self.batch.reward)

    def truncated_returns(self, horizon: int, discount: float) -> Tensor:
        """What the next `horizon` rewards sum up to [N], nothing after an end.

        NaN where the record stops before that without an end.
        """
        reward, terminated = self.batch.reward, self.batch.terminated.bool()
        total, weight = torch.zeros(len(self)), torch.ones(len(self))
        row = torch.arange(len(self))
        for _ in range(horizon):
            known = row < len(self)
            known &= self.episode[row.clamp(max=len(self) - 1)] == self.episode
            here = row.clamp(max=len(self) - 1)
            total = torch.where(known | (weight == 0), total, torch.nan)
            total = torch.where(known, total + weight * reward[here], total)
            weight = torch.where(known & terminated[here], 0.0, discount * weight)
            row = row + 1
        return total

    def digest(self) -> str:
        """A hash of all numbers, which is the same for the same data."""
        found = hashlib.sha256(self.episode.numpy().tobytes())
        for part in self.batch:
            found.update(part.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]
