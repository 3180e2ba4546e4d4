# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fitted Q evaluation on chains whose values are known exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loop_ros.offline.fitted_q import FittedQ
from loop_ros.types import Batch

LENGTH = 4


def chain(copies: int = 3) -> Batch:
    """States 0 to 3: right (+1) goes on and pays 1 at the end, left (-1) pays 0.3 and stays.

    Going right from the last state ends the episode. Every state-action pair occurs `copies` times.
    """
    states, actions, rewards, reached, ended = [], [], [], [], []
    for _ in range(copies):
        for state in range(LENGTH):
            for action in (-1.0, 1.0):
                last = action > 0 and state == LENGTH - 1
                states.append(state)
                actions.append([action])
                rewards.append(0.3 if action < 0 else float(last))
                reached.append(state if action < 0 else min(state + 1, LENGTH - 1))
                ended.append(float(last))
    one_hot = torch.eye(LENGTH)
    return Batch(
        one_hot[states], torch.tensor(actions), torch.tensor(rewards), torch.zeros(len(states)),
        one_hot[reached], torch.tensor(ended),
    )  # fmt: skip


def always(action: float, count: int) -> Tensor:
    return torch.full((count, 1), action)


@pytest.mark.parametrize('discount', [0.5, 0.9, 0.99])
def test_values_of_a_chain_are_exact(discount: float) -> None:
    """To the right: gamma^(3 - s). To the left: 0.3 / (1 - gamma)."""
    batch = chain()
    fitted = FittedQ(batch, discount, members=3, features=64, seed=0)
    for state in range(LENGTH):
        start = torch.eye(LENGTH)[state : state + 1]
        right = fitted.value(always(1.0, len(batch.reward)), start, always(1.0, 1))
        left = fitted.value(always(-1.0, len(batch.reward)), start, always(-1.0, 1))
        assert right.mean == pytest.approx(discount ** (LENGTH - 1 - state), abs=2e-3)
        assert left.mean == pytest.approx(0.3 / (1.0 - discount), rel=5e-3)
        assert right.spread < 2e-3


def test_a_first_action_of_its_own() -> None:
    """Left once, then right for ever: 0.3 + gamma gamma^3."""
    batch = chain()
    fitted = FittedQ(batch, 0.9, members=2, features=64, seed=1)
    start = torch.eye(LENGTH)[:1]
    value = fitted.value(always(1.0, len(batch.reward)), start, always(-1.0, 1))
    assert value.mean == pytest.approx(0.3 + 0.9**4, abs=2e-3)


def test_members_disagree_about_noise() -> None:
    batch = chain(2)
    noise = torch.randn(len(batch.reward), generator=torch.Generator().manual_seed(0))
    noisy = FittedQ(batch._replace(reward=batch.reward + noise), 0.9, 5, 64, seed=0)
    value = noisy.value(always(1.0, len(noise)), torch.eye(LENGTH), always(1.0, LENGTH))
    assert value.spread > 0.05
    assert value.by_member.shape == (5,)


def test_no_target_is_beyond_what_rewards_can_sum_up_to() -> None:
    """Of few transitions far from what the policy does: never above max r / (1 - gamma)."""
    generator = torch.Generator().manual_seed(0)
    batch = Batch(
        torch.randn(12, 3, generator=generator), torch.randn(12, 1, generator=generator),
        torch.rand(12, generator=generator), torch.zeros(12),
        5.0 * torch.randn(12, 3, generator=generator), torch.zeros(12),
    )  # fmt: skip
    value = FittedQ(batch, 0.9, 3, 64, seed=0).value(
        always(9.0, 12), 9.0 * torch.ones(4, 3), always(9.0, 4)
    )
    assert torch.isfinite(value.by_member).all()
    assert float(value.by_member.max()) <= float(batch.reward.max()) / (1.0 - 0.9) + 1e-9


def test_a_seed_determines_it() -> None:
    one, two = (FittedQ(chain(), 0.9, 2, 32, seed=3) for _ in range(2))
    next_action = always(1.0, len(chain().reward))
    values = [f.value(next_action, torch.eye(LENGTH), always(1.0, LENGTH)) for f in (one, two)]
    assert torch.equal(values[0].by_member, values[1].by_member)
