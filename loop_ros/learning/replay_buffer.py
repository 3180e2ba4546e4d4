# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Experience in a ring of tensors on the learner's device."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.types import Batch

SUCCESSOR_WITHIN = 16  # transitions; those of robots that learn together come in turns


class ReplayBuffer:
    """The newest `capacity` transitions; storage grows by doubling up to that."""

    def __init__(self, capacity: int, state_dim: int, action_dim: int, device: str = 'cpu') -> None:
        self.capacity = capacity
        self.device = device
        self._state_dim, self._action_dim = state_dim, action_dim
        self._rows = torch.empty(0, 2 * state_dim + action_dim + 3, device=device)
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, batch: Batch) -> None:
        """Append transitions; the oldest go when the ring is full."""
        rows = batch.table()[-self.capacity :].to(self.device)
        needed = min(self._next + len(rows), self.capacity)
        if needed > len(self._rows):
            grown = min(max(1024, 2 * needed), self.capacity)
            old = self._rows
            self._rows = torch.empty(grown, rows.shape[1], device=self.device)
            self._rows[: len(old)] = old
        index = (self._next + torch.arange(len(rows), device=self.device)) % self.capacity
        self._rows[index] = rows
        self._next = (self._next + len(rows)) % self.capacity
        self._size = min(self._size + len(rows), self.capacity)

    def all(self) -> Batch:
        """Every transition, in storage order."""
        return self._split(self._rows[: self._size])

    def sample(self, size: int, generator: torch.Generator) -> Batch:
        """`size` transitions drawn uniformly, with replacement."""
        index = torch.randint(self._size, (size,), generator=generator, device=self.device)
        return self._split(self._rows.index_select(0, index))

    def sample_steps(
        self, size: int, steps: int, discount: float, generator: torch.Generator
    ) -> Batch:
        """Like `sample`, with the rewards of up to `steps` transitions in a row (n-step returns).

        `reward` [B] is their discounted sum, `next_state` where the last one led to. `terminated`
        is the share of its value that is not to come any more: 1 at the end of an episode, else
        1 - discount^(n-1) after n transitions. Fewer are taken where no more followed.
        """
        index = torch.randint(self._size, (size,), generator=generator, device=self.device)
        batch = self._split(self._rows.index_select(0, index))
        reward, next_state, ended = batch.reward, batch.next_state, batch.terminated.bool()
        weight = torch.ones_like(reward)  # of what comes next, but for the target's own discount
        grows = ~ended
        for _ in range(steps - 1):
            successor, known = self._successors(index)
            grows = grows & known
            index = torch.where(grows, successor, index)
            last = self._split(self._rows.index_select(0, index))
            weight = torch.where(grows, discount * weight, weight)
            reward = torch.where(grows, reward + weight * last.reward, reward)
            next_state = torch.where(grows.unsqueeze(1), last.next_state, next_state)
            ended = ended | (grows & last.terminated.bool())
            grows = grows & ~ended
        terminated = torch.where(ended, 1.0, 1.0 - weight)
        return batch._replace(reward=reward, next_state=next_state, terminated=terminated)

    def sample_pairs(self, size: int, generator: torch.Generator) -> tuple[Batch, Tensor]:
        """`size` transitions and the actions [B, A] that were taken next.

        Drawn uniformly from those that ended their episode, whose next action means nothing, and
        those that are followed by the transition from the state they led to, at once or after
        some of other robots. ValueError where there seems to be none.
        """
        index = following = torch.empty(0, dtype=torch.long, device=self.device)
        for _ in range(100):
            drawn = torch.randint(self._size, (size,), generator=generator, device=self.device)
            successor, known = self._successors(drawn)
            index = torch.cat((index, drawn[known]))[:size]
            following = torch.cat((following, successor[known]))[:size]
            if len(index) == size:
                return self._split(self._rows[index]), self._split(self._rows[following]).action
        raise ValueError('the replay buffer has no transition with a successor')

    def _successors(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Where the transitions are that followed, [B], and of which that is known or no matter."""
        batch = self._split(self._rows[index])
        ahead = torch.arange(1, SUCCESSOR_WITHIN + 1, device=self.device)
        candidates = (index.unsqueeze(1) + ahead) % self._size
        states = self._split(self._rows).state[candidates]
        follows = (states == batch.next_state.unsqueeze(1)).all(dim=-1)
        nearest = follows.float().argmax(dim=1, keepdim=True)
        known = follows.any(dim=1) | batch.terminated.bool()
        return candidates.gather(1, nearest).squeeze(1), known

    def tensors(self) -> dict[str, Tensor]:
        """The contents for a checkpoint, oldest first."""
        order = (torch.arange(self._size, device=self.device) - self._size + self._next) % max(
            self.capacity, 1
        )
        return {'rows': self._rows[order]}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Replace the contents by those of `tensors()`; ValueError where they do not fit."""
        rows = tensors['rows']
        if rows.ndim != 2 or rows.shape[1] != self._rows.shape[1]:
            raise ValueError(
                f'replay buffer of {tuple(rows.shape)} numbers; this task has '
                f'{self._rows.shape[1]} a transition'
            )
        rows = rows[-self.capacity :].to(self.device)
        self._rows = rows.clone()
        self._size = len(rows)
        self._next = self._size % self.capacity

    def _split(self, rows: Tensor) -> Batch:
        return Batch.from_table(rows, self._state_dim, self._action_dim)
