# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is near recorded transitions, and how an expectation widens where nothing is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loop_ros.offline.coverage import Coverage
from loop_ros.offline.data import OfflineData
from loop_ros.types import Batch


@pytest.fixture
def coverage() -> Coverage:
    """Recorded are the states 0, 1, ... 99; held out is one a quarter beside each of them."""
    state = torch.cat((torch.arange(100.0), torch.arange(100.0) + 0.25))[:, None]
    num = len(state)
    batch = Batch(
        state=state,
        action=torch.zeros(num, 1),
        reward=torch.tensor([-1.0, 3.0]).repeat(num // 2),  # a standard deviation of 2
        cost=torch.arange(num) % 2 * 0.5,
        next_state=state,
        terminated=torch.zeros(num),
    )
    episode = torch.cat((torch.zeros(100), torch.ones(100))).long()
    data = OfflineData(batch, episode, torch.ones(2, dtype=torch.bool))
    return Coverage(data, episode == 1, seed=0)


@pytest.mark.parametrize(
    ('state', 'action', 'near'),
    [
        (7.0, 0.0, True),
        (7.24, 0.0, True),
        (6.8, 0.0, True),
        (7.3, 0.0, False),
        (7.0, 0.3, False),  # an action that nobody took there
        (150.0, 0.0, False),
        (float('nan'), 0.0, False),
    ],
)
def test_near_is_as_near_as_held_out_ones(
    coverage: Coverage, state: float, action: float, near: bool
) -> None:
    states = torch.tensor([[[state], [3.0]]])  # [1, 2, S]
    found = coverage.covers(states, torch.tensor([[[action], [0.0]]]))
    assert found.tolist() == [[near, True]]


def test_what_is_not_known_widens(coverage: Coverage) -> None:
    def widened(beside: Tensor) -> dict[str, float]:
        found = {'return': -8.4, 'spread': 0.3, 'worst_cost': 1.0, 'lower': -8.7}
        return coverage.widened(found, torch.tensor([[10.0, 10.0]]), beside)

    known = widened(torch.zeros(1, 2))
    assert (known['spread'], known['covered'], known['most_cost']) == (0.3, 1.0, 1.0)
    found = widened(torch.tensor([[0.0, 4.0]]))
    assert found['spread'] == pytest.approx(0.3 + 2 * 2.0)  # two steps an episode
    assert found['lower'] == pytest.approx(-8.4 - 4.3)
    assert found['covered'] == pytest.approx(0.8)
    assert found['most_cost'] == pytest.approx(1.0 + 4 * 0.5)


@pytest.mark.parametrize(
    ('value', 'spread', 'diverged'),
    [
        (-299.0, 0.5, False),  # ten times ten steps of the largest reward, 3
        (-299.0, 1.5, True),
        (301.0, 0.0, True),
        (float('nan'), 0.0, True),
        (0.0, float('nan'), True),
        (-float('inf'), 0.0, True),
    ],
)
def test_episodes_that_are_none_diverged(
    coverage: Coverage, value: float, spread: float, diverged: bool
) -> None:
    found = {'return': value, 'spread': spread, 'worst_cost': 1.0, 'lower': value - spread}
    steps = torch.tensor([[10.0, 7.0]])
    assert coverage.widened(found, steps, torch.zeros(1, 2))['diverged'] is diverged
