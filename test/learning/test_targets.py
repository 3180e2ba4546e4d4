# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What critics learn instead of SAC's own target: by hand, and what it makes of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from known_world import LinearActor, LinearCritic, LinearEnsemble, linear_world, plain_reward
from random_batch import one_state, random_parts, sac_settings
from torch import Tensor

from loop_ros.algorithms.sac import SAC
from loop_ros.algorithms.targets import expansion_target, sarsa_target
from loop_ros.learning.model_rollouts import ModelRollouts
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.types import Batch


def episode(states: list[float], actions: list[float], terminated: bool) -> Batch:
    """An episode of rewards 1, 2 ... through states that are one more than there are actions."""
    count = len(actions)
    ended = torch.zeros(count)
    ended[-1] = float(terminated)
    return Batch(
        torch.tensor(states[:-1]).unsqueeze(1),
        torch.tensor(actions).unsqueeze(1),
        1.0 + torch.arange(count),
        torch.zeros(count),
        torch.tensor(states[1:]).unsqueeze(1),
        ended,
    )


def lower(state: Tensor, action: Tensor) -> Tensor:
    """What target critics say: Q = min(10 s + a, 6 s + a)."""
    return LinearCritic()(state, action).amin(dim=0)


# --- SARSA ---


def test_sarsa_target_of_an_episode_of_three_steps() -> None:
    """Q = min(10 s + a, 6 s + a), gamma = 1/2; after the end there is no next action to value."""
    batch = episode([1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 0.25], terminated=True)
    next_action = torch.tensor([[-0.5], [0.25], [99.0]])
    sac: Any = SimpleNamespace(target_value=lower, settings=sac_settings(discount=0.5))
    target = sarsa_target(batch, next_action, sac)
    assert target.tolist() == pytest.approx([1 + (12 - 0.5) / 2, 2 + (18 + 0.25) / 2, 3])


def filled(capacity: int) -> ReplayBuffer:
    """An episode cut off by time, one that ended, and one that still goes on."""
    buffer = ReplayBuffer(capacity, 1, 1)
    buffer.add(episode([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3], terminated=False))
    buffer.add(episode([11.0, 12.0, 13.0], [0.4, 0.5], terminated=True))
    buffer.add(episode([21.0, 22.0, 23.0, 24.0], [0.6, 0.7, 0.8], terminated=False))
    return buffer


@pytest.mark.parametrize(
    ('capacity', 'expected'),
    [
        # 0.3 and 0.8 have no successor; that of 0.5 does not matter.
        (100, {0.1: 0.2, 0.2: 0.3, 0.4: 0.5, 0.5: None, 0.6: 0.7, 0.7: 0.8}),
        # Full, the ring wraps after 0.6: row 0.8 lies before the oldest, 0.3.
        (6, {0.4: 0.5, 0.5: None, 0.6: 0.7, 0.7: 0.8}),
    ],
)
def test_pairs_are_of_one_episode(capacity: int, expected: dict[float, float | None]) -> None:
    batch, following = filled(capacity).sample_pairs(2000, torch.Generator().manual_seed(0))
    assert len(batch.reward) == len(following) == 2000
    found: dict[float, set[float]] = {}
    for action, after in zip(batch.action[:, 0].tolist(), following[:, 0].tolist(), strict=True):
        found.setdefault(round(action, 1), set()).add(round(after, 1))
    assert found.keys() == expected.keys()
    for action, after in expected.items():
        assert after is None or found[action] == {after}


def test_pairs_are_of_one_robot_where_several_take_turns() -> None:
    buffer = ReplayBuffer(100, 1, 1)
    runs = [
        episode([first + 1.0, first + 2.0, first + 3.0, first + 4.0], [0.0, 0.5, 1.0], False)
        for first in (0.0, 10.0, 20.0)
    ]
    for step in range(3):
        for run in runs:
            buffer.add(Batch(*(part[step : step + 1] for part in run)))
    batch, following = buffer.sample_pairs(600, torch.Generator().manual_seed(0))
    assert torch.equal(following, batch.action + 0.5)
    assert len(batch.state.unique()) == 6  # two of each robot


def test_pairs_are_uniform_and_survive_a_checkpoint() -> None:
    buffer = ReplayBuffer(100, 1, 1)
    buffer.restore(filled(100).tensors())
    batch, _ = buffer.sample_pairs(6000, torch.Generator().manual_seed(0))
    counts = batch.action[:, 0].unique(return_counts=True)[1].tolist()
    assert len(counts) == 6
    # 1,000 expected, standard deviation 29: five of them.
    assert all(855 < count < 1145 for count in counts)


def test_a_buffer_without_pairs_says_so() -> None:
    buffer = ReplayBuffer(10, 1, 1)
    buffer.add(episode([1.0, 2.0], [0.1], terminated=False))
    with pytest.raises(ValueError, match='no transition with a successor'):
        buffer.sample_pairs(4, torch.Generator())


# --- n-step returns ---


@pytest.mark.parametrize(
    ('steps', 'expected'),
    [  # by action: reward, next state, terminated; gamma = 1/2
        (1, {0.1: (1, 2, 0), 0.3: (3, 4, 0), 0.4: (1, 12, 0), 0.5: (2, 13, 1)}),
        (2, {0.1: (2, 3, 0.5), 0.2: (3.5, 4, 0.5), 0.3: (3, 4, 0), 0.4: (2, 13, 1)}),
        (3, {0.6: (2.75, 24, 0.75), 0.7: (3.5, 24, 0.5), 0.8: (3, 24, 0), 0.4: (2, 13, 1)}),
    ],
)
def test_rewards_of_steps_in_a_row_by_hand(
    steps: int, expected: dict[float, tuple[float, float, float]]
) -> None:
    """They end with their episode, and with what is stored of it."""
    batch = filled(100).sample_steps(500, steps, 0.5, torch.Generator().manual_seed(0))
    parts = batch.action[:, 0], batch.reward, batch.next_state[:, 0], batch.terminated
    rows = {tuple(row) for row in torch.stack(parts, dim=1).tolist()}
    found = {round(action, 1): values for action, *values in rows}
    assert len(rows) == len(found) == 8  # one of each transition
    for action, values in expected.items():
        assert found[action] == pytest.approx(values)


@pytest.mark.parametrize('steps', [1, 2, 5])
def test_steps_in_a_row_are_discounted_as_one_by_one(steps: int) -> None:
    """Reward 1 for ever: r + gamma (1 - terminated) V is V = 1 / (1 - gamma), however many rows."""
    buffer = ReplayBuffer(100, 1, 1)
    rows = torch.arange(50.0).unsqueeze(1)
    buffer.add(Batch(rows, rows, torch.ones(50), torch.zeros(50), rows + 1.0, torch.zeros(50)))
    batch = buffer.sample_steps(200, steps, 0.9, torch.Generator().manual_seed(0))
    target = batch.reward + 0.9 * (1.0 - batch.terminated) * 10.0
    torch.testing.assert_close(target, torch.full((200,), 10.0))
    jumped = batch.next_state - batch.state
    assert jumped.max() == steps and (steps == 1 or jumped.min() < steps)


@pytest.mark.parametrize('bootstrap', ['buffer', 'actor'])
def test_sarsa_values_what_was_done_and_sac_what_could_be(bootstrap: str) -> None:
    """One state, reward a, actions uniform in [-1, 1]: the buffer's policy is worth 0 from there.

    So Q(1) is 1 for SARSA, and 1 + gamma / (1 - gamma) = 5 for the best policy.
    """
    settings = sac_settings(
        width=32, discount=0.8, learning_rate=3e-3, tau=0.05, initial_entropy_coef=0.01,
        entropy_in_target=False,
    )  # fmt: skip
    sac, buffer = one_state(settings)
    for _ in range(400):
        if bootstrap == 'actor':
            sac.update(buffer.sample(64, sac.generator))
        else:
            batch, following = buffer.sample_pairs(64, sac.generator)
            sac.update(batch, sarsa_target(batch, following, sac))
    with torch.no_grad():
        value = sac.critic(torch.zeros(1, 1), torch.ones(1, 1)).mean().item()
    assert value == pytest.approx(1.0 if bootstrap == 'buffer' else 5.0, abs=0.5)


def test_a_given_target_is_what_the_critics_learn() -> None:
    """With no discount SAC's own target is the reward: giving it changes no number."""

    def learned(given: bool) -> list[Tensor]:
        torch.manual_seed(0)
        settings = sac_settings(width=8, discount=0.0)
        sac = SAC(random_parts(settings, 1, 1), settings, torch.Generator().manual_seed(0))
        batch = episode([1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 0.25], terminated=True)
        for use in (given, given, False, given):
            sac.update(batch, batch.reward if use else None)
        return [*sac.actor.parameters(), *sac.critic.parameters(), sac.log_entropy_coef]

    assert all(torch.equal(a, b) for a, b in zip(learned(True), learned(False), strict=True))


# --- value expansion ---


class Still(LinearActor):
    """Always its mean s / 10, of log-probability -2."""

    def sample(self, state: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(state), torch.full(state.shape[:-1], -2.0)


def expanded(
    batch: Batch, horizon: int, entropy: bool = False, end: Any = None, goal: Any = None
) -> list[float]:
    """In the world s' = s + a, r = s + 2 a; gamma = 1/2, alpha = 0.2."""
    sac: Any = SimpleNamespace(
        actor=Still(),
        target_value=lower,
        log_entropy_coef=torch.tensor(0.2).log(),
        settings=sac_settings(discount=0.5, entropy_in_target=entropy),
    )
    ensemble = LinearEnsemble([1.0, 1.0], plain_reward)
    parts, task = linear_world(ensemble, sac.actor, end=end)
    task.goal_resampled = goal
    rollouts = ModelRollouts(parts, task, torch.Generator().manual_seed(0))
    return expansion_target(batch, sac, rollouts, horizon).tolist()


# From s' = 2: a = 0.2, r = 2.4; s = 2.2, a = 0.22, r = 2.64; s = 2.42, a = 0.242, Q = 14.762.
ONE_STEP = episode([1.0, 2.0], [1.0], terminated=False)


@pytest.mark.parametrize(
    ('horizon', 'expected'),
    [
        (1, 1 + (12 + 0.2) / 2),
        (2, 1 + 2.4 / 2 + (13.2 + 0.22) / 4),
        (3, 1 + 2.4 / 2 + 2.64 / 4 + 14.762 / 8),
    ],
)
def test_expansion_target_by_hand(horizon: int, expected: float) -> None:
    assert expanded(ONE_STEP, horizon) == pytest.approx([expected])
    bonus = sum(0.4 * 0.5**step for step in range(1, horizon + 1))
    assert expanded(ONE_STEP, horizon, entropy=True) == pytest.approx([expected + bonus])


def test_nothing_follows_the_end_of_an_episode() -> None:
    ended = episode([1.0, 2.0], [1.0], terminated=True)
    assert expanded(ended, 3, entropy=True) == [1.0]
    # In the model the first step leads to 2.2, beyond the limit: its reward is the last.
    assert expanded(ONE_STEP, 3, end=lambda s: s[..., 0] > 2.1) == pytest.approx([1 + 2.4 / 2])


def test_the_value_follows_where_a_goal_is_drawn_elsewhere() -> None:
    """A goal beyond 2.1, reached in the model's first step; and one that the batch has reached."""
    for goal, horizon in ((2.1, 2), (1.9, 1)):
        value = expanded(ONE_STEP, horizon, entropy=True)
        assert expanded(ONE_STEP, 5, True, goal=lambda s, g=goal: s[..., 0] > g) == value
