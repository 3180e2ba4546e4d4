# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MBOP's regressions by autograd, its actors, and the proposals that offline plans start from."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from known_world import LinearActor, LinearEnsemble, make_rollout, plain_reward
from random_batch import ACTIONS, STATES, random_batch, random_parts, sac_settings
from torch.nn import functional

from loop_ros.algorithms.mbop import MBOP
from loop_ros.settings import PlannerSettings

NUM = 2


def make() -> MBOP:
    torch.manual_seed(0)
    settings = sac_settings('mbop', width=16, batch_size=8, learning_rate=1e-3)
    return MBOP(random_parts(settings), settings, torch.Generator())


def test_updates_are_those_of_the_losses() -> None:
    mbop = make()
    actor, critic = copy.deepcopy(mbop.actor), copy.deepcopy(mbop.critic)
    optimizers = [torch.optim.Adam(part.parameters(), lr=1e-3) for part in (actor, critic)]
    for number, size in enumerate((8, 5, 8)):
        batch = random_batch(size, number)
        target = batch.reward + 3.0
        report = mbop.update(batch, target)
        actions = actor.each(batch.state.expand(NUM, -1, -1))
        values = critic(batch.state, torch.zeros_like(batch.action))
        losses = [
            torch.stack([functional.mse_loss(said, wanted) for said in many]).sum()
            for many, wanted in ((actions, batch.action), (values, target))
        ]
        for optimizer, loss in zip(optimizers, losses, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert float(report['critic_loss']) == pytest.approx(losses[1].item(), rel=1e-4)
        assert float(report['actor_loss']) == pytest.approx(losses[0].item() / NUM, rel=1e-4)
    for ours, theirs in ((mbop.actor, actor), (mbop.critic, critic)):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-3, atol=2e-5)


def test_mbop_says_that_it_needs_whole_episodes() -> None:
    with pytest.raises(ValueError, match='train-offline'):
        make().update(random_batch(8, 0))


def test_each_network_acts_in_the_states_of_its_model() -> None:
    actor, states = make().actor, torch.randn(NUM, 5, STATES)
    with torch.no_grad():
        apart = actor.act(states, torch.zeros(NUM, 5, ACTIONS))
        every = [actor.each(states[k].expand(NUM, -1, -1)) for k in range(NUM)]
        for k in range(NUM):
            torch.testing.assert_close(apart[k], every[k][k])
            torch.testing.assert_close(actor.mean(states[k]), every[k].mean(dim=0))


def proposals(noise: float, last: float, **changes: Any) -> list[float]:
    """Of pi(s) = 0.1 s from s = 1 in s' = s + a, two steps, the second sequence of two."""
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward), LinearActor(0.1))
    settings = PlannerSettings(horizon=2, rollout_dtype='float32', **changes)
    drawn = torch.full((1, 2, 2, 1), noise)
    before = torch.full((1, 2, 1), last)
    found = rollout.actor_sequences(torch.tensor([1.0]), drawn, settings, before)
    return found[0, 1, :, 0].tolist()


def test_noise_of_table_4_is_around_the_actors_mean() -> None:
    """0.1 + 0.05 * 2 = 0.2, then 0.1 * 1.2 + 0.1; clipped to the range."""
    assert proposals(2.0, 9.0, proposal_std=0.05) == pytest.approx([0.2, 0.22])
    assert proposals(-99.0, 9.0, proposal_std=0.05)[0] == -1.0


def test_proposals_are_mixed_with_the_last_plan() -> None:
    """0.75 * 0.1 + 0.25 * 0.5 = 0.2, then 0.75 * 0.12 + 0.125."""
    assert proposals(0.0, 0.5, plan_mixing=0.25) == pytest.approx([0.2, 0.215])


def test_draws_may_start_from_states_of_their_own() -> None:
    rollout = make_rollout(LinearEnsemble([1.0, 2.0], plain_reward), LinearActor(0.1))
    settings = PlannerSettings(horizon=3, rollout_dtype='float32', proposal_std=0.1)
    noise = torch.randn(4, 3, 3, 1, generator=torch.Generator().manual_seed(0))
    states = torch.tensor([[0.0], [1.0], [-1.0], [2.0]])
    together = rollout.actor_sequences(states, noise, settings)
    for i in range(4):
        alone = rollout.actor_sequences(states[i], noise[i : i + 1], settings)
        torch.testing.assert_close(together[i], alone[0])
