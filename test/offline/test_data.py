# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes, what is held out, sums of rewards, by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from loop_ros.offline.data import OfflineData
from loop_ros.types import Rows, Transition


def steps(*episodes: tuple[list[float], bool]) -> OfflineData:
    """Episodes of given rewards; the flag says whether the end was one by itself."""
    like, found = tiny.transitions(1)[0], list[Transition]()
    for number, (rewards, terminated) in enumerate(episodes):
        for step, reward in enumerate(rewards):
            last = step == len(rewards) - 1
            found.append(
                dataclasses.replace(
                    like, episode=number, step=step, reward=reward,
                    terminated=last and terminated, truncated=last and not terminated,
                )
            )  # fmt: skip
    return OfflineData.from_rows([Rows.of(found)], tiny.TASK)


def test_truncated_returns_by_hand() -> None:
    """Three rewards at gamma 0.5; NaN where the record stops first, not after an end."""
    data = steps(([1.0, 2.0, 4.0, 8.0], False), ([1.0, 2.0], True))
    expected = [1 + 1 + 1, 2 + 2 + 2, np.nan, np.nan, 1 + 1, 2]
    assert data.truncated_returns(3, 0.5).tolist() == pytest.approx(expected, nan_ok=True)
    assert data.returns().tolist() == [15.0, 3.0]
    assert data.first_rows().tolist() == [0, 4]


def test_episodes_end_at_numbers_and_at_missing_steps() -> None:
    transitions = [t for t in tiny.transitions(12) if t.step not in (4, 5)]
    transitions = [dataclasses.replace(t, episode=7) for t in transitions]
    other = [dataclasses.replace(t, episode=8) for t in transitions[:2]]
    parts = [Rows.of(transitions[:6]), Rows.of(transitions[6:]), Rows.of(other)]
    data = OfflineData.from_rows(parts, tiny.TASK)
    assert data.episode.tolist() == [0] * 4 + [1] * 6 + [2] * 2
    assert data.starts_at_zero.tolist() == [True, False, True]


@pytest.mark.parametrize('fraction', [0.01, 0.3, 0.99])
def test_whole_episodes_are_held_out(fraction: float) -> None:
    data = steps(*[([1.0] * (n + 1), False) for n in range(10)])
    held_out = data.held_out(fraction, seed=1)
    shares = [held_out[data.episode == number].float().mean().item() for number in range(10)]
    assert set(shares) <= {0.0, 1.0}
    assert sum(shares) == min(max(1, round(10 * fraction)), 9)
    assert torch.equal(held_out, data.held_out(fraction, seed=1))


def test_one_episode_is_not_enough() -> None:
    with pytest.raises(ValueError, match='only one episode'):
        steps(([1.0, 2.0], False)).held_out(0.1, 0)


def test_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no transition of task 'drift_car'"):
        OfflineData.from_rows([], tiny.TASK)


def test_the_digest_is_of_the_numbers() -> None:
    one: Any = ([1.0, 2.0], False)
    assert steps(one, one).digest() == steps(one, one).digest()
    assert steps(one, one).digest() != steps(one, ([1.0, 2.5], False)).digest()
