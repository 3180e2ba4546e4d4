# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The replay buffer against a deque."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.types import Batch


def carrying(number: Tensor) -> Batch:
    """Transitions that carry their number [B] in every field."""
    return Batch(
        torch.stack((number, number + 0.1, number + 0.2), dim=1),
        torch.stack((number + 0.3, number + 0.4), dim=1),
        number + 0.5,
        number + 0.6,
        torch.stack((number + 0.7, number + 0.8, number + 0.9), dim=1),
        number % 2,
    )


def numbered(start: int, count: int) -> Batch:
    return carrying(torch.arange(start, start + count, dtype=torch.float32))


def numbers(batch: Batch) -> list[int]:
    """The numbers in a batch, after a check that no field was mixed up with another's."""
    for part, expected in zip(batch, carrying(batch.state[:, 0]), strict=True):
        assert torch.equal(part, expected)
    return [int(number) for number in batch.state[:, 0].tolist()]


# A positive operation adds so many; zero saves and restores; a negative one restores into a ring
# of another capacity.
@settings(max_examples=100)
@given(
    capacity=st.integers(1, 40),
    operations=st.lists(st.integers(-50, 90), max_size=12),
)
def test_a_replay_buffer_keeps_the_newest(capacity: int, operations: list[int]) -> None:
    buffer, model = ReplayBuffer(capacity, 3, 2), deque[int](maxlen=capacity)
    added = 0
    for operation in operations:
        if operation > 0:
            buffer.add(numbered(added, operation))
            model.extend(range(added, added + operation))
            added += operation
        else:
            capacity = -operation or capacity
            saved = buffer.tensors()
            buffer = ReplayBuffer(capacity, 3, 2)
            buffer.restore(saved)
            model = deque(model, maxlen=capacity)
        assert len(buffer) == len(model)
        assert sorted(numbers(buffer.all())) == sorted(model)
        assert buffer.tensors()['rows'][:, 0].tolist() == list(model), 'oldest first'


def test_a_replay_buffer_grows_past_its_first_allocation() -> None:
    buffer = ReplayBuffer(100_000, 3, 2)
    for start in range(0, 3000, 7):
        buffer.add(numbered(start, 7))
    assert len(buffer) == 3003
    assert numbers(buffer.all()) == list(range(3003))


def test_memory_grows_with_what_is_kept() -> None:
    """A capacity of a million costs nothing while there are ten transitions."""
    buffer = ReplayBuffer(1_000_000, 3, 2)
    buffer.add(numbered(0, 10))
    assert buffer._rows.numel() * 4 < 1_000_000


def test_samples_are_uniform_whole_and_seeded() -> None:
    buffer = ReplayBuffer(8, 3, 2)
    buffer.add(numbered(0, 11))  # 3 .. 10 remain, wrapped round
    drawn = numbers(buffer.sample(4000, torch.Generator().manual_seed(0)))
    counts = {number: drawn.count(number) for number in set(drawn)}
    assert set(counts) == set(range(3, 11))
    # 500 expected, standard deviation 21: five of them.
    assert all(395 < count < 605 for count in counts.values())
    assert drawn == numbers(buffer.sample(4000, torch.Generator().manual_seed(0)))
    assert drawn != numbers(buffer.sample(4000, torch.Generator().manual_seed(1)))


def test_what_is_saved_does_not_change_with_the_buffer() -> None:
    buffer = ReplayBuffer(4, 3, 2)
    buffer.add(numbered(0, 4))
    saved = buffer.tensors()['rows'].clone()
    other = ReplayBuffer(4, 3, 2)
    other.restore({'rows': saved})
    other.add(numbered(4, 2))
    assert saved[:, 0].tolist() == [0, 1, 2, 3]
    assert sorted(numbers(other.all())) == [2, 3, 4, 5]


def test_another_task_is_refused() -> None:
    buffer = ReplayBuffer(4, 3, 2)
    buffer.add(numbered(0, 2))
    other = ReplayBuffer(4, 5, 2)
    with pytest.raises(ValueError, match=r'\(2, 11\).*15 a transition'):
        other.restore(buffer.tensors())
    assert len(other) == 0
