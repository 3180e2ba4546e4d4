# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Branches of the ensemble under the actor, and what their uncertainty costs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import tiny
import torch
from known_world import LinearEnsemble, linear_world, plain_reward
from torch import Tensor

from loop_ros.learning.model_rollouts import ModelRollouts, uncertainty
from loop_ros.models import fused_ensemble
from loop_ros.models.ensemble import Ensemble, Prediction
from loop_ros.models.planning_ensemble import PlanningEnsemble
from loop_ros.settings import EnsembleSettings
from loop_ros.types import Batch

STARTS = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])


def rollouts(ensemble: Any, end: Any = None, penalty: float = 0.0) -> ModelRollouts:
    generator = torch.Generator().manual_seed(0)
    return ModelRollouts(*linear_world(ensemble, end=end), generator, penalty)


def branched(count: int, length: int, end: Any = None) -> Batch:
    """In the world s' = s + a, r = s + 2 a; every transition is checked to be of it."""
    batch = rollouts(LinearEnsemble([1.0], plain_reward), end).branch(STARTS, count, length)
    assert len(batch.reward) == count
    torch.testing.assert_close(batch.next_state, batch.state + batch.action)
    torch.testing.assert_close(batch.reward, (batch.state + 2.0 * batch.action)[:, 0])
    return batch


@pytest.mark.parametrize(('count', 'starts'), [(3, [1, 2, 3]), (7, [1, 2, 3, 4, 5, 1, 2])])
def test_a_branch_of_one_step_starts_from_each_state(count: int, starts: list[float]) -> None:
    batch = branched(count, 1)
    assert batch.state[:, 0].tolist() == starts
    assert batch.action.unique().numel() > 2  # the actor's noise


def test_longer_branches_continue_where_they_are() -> None:
    """Seven transitions of branches of three steps: three branches, one of them cut short."""
    batch = branched(7, 3)
    first, second, third = batch.state.split((3, 3, 1))
    assert first[:, 0].tolist() == [1, 2, 3]
    assert torch.equal(second, batch.next_state[:3])
    assert torch.equal(third, batch.next_state[3:4])
    assert not batch.terminated.any()


def test_a_branch_that_ends_is_followed_by_another_one() -> None:
    """Beyond 1.95 it ends: at once for two of three branches, which resume from states 4 and 1."""
    batch = branched(6, 2, end=lambda state: state[..., 0] > 1.95)
    assert batch.terminated.tolist() == (batch.next_state[:, 0] > 1.95).float().tolist()
    second = [4.0, 5.0, 1.0]
    for branch, ended in enumerate(batch.terminated[:3].bool()):
        expected = second[branch] if ended else batch.next_state[branch, 0].item()
        assert batch.state[3 + branch, 0].item() == expected
    assert batch.terminated[:3].tolist() == [1.0, 0.0, 1.0]


def test_a_branch_that_reaches_its_goal_is_followed_by_another_one() -> None:
    """The goal is beyond 1.95, and the episode goes on with another one that nobody knows."""
    world = rollouts(LinearEnsemble([1.0], plain_reward))
    world.task.goal_resampled = lambda state: state[..., 0] > 1.95
    batch = world.branch(STARTS, 6, 2)
    assert not batch.terminated.any()
    assert batch.state[3:, 0].tolist() == [4.0, batch.next_state[1, 0].item(), 1.0]
    assert world.resampled(batch).tolist() == (batch.next_state[:, 0] > 1.95).tolist()


class Unsure(LinearEnsemble):
    """Model 0 has standard deviations (3, 4) everywhere, model 1 (0, s)."""

    def predict(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Prediction:
        std = torch.zeros(*state.shape[:2], 2)
        std[0], std[1, :, 1] = torch.tensor([3.0, 4.0]), state[1, :, 0]
        return super().predict(state, action, noise)._replace(std=std)


def test_mopos_penalty_by_hand() -> None:
    """The larger of 5 and s, times lambda = 0.5, off a reward of s + 2 a."""
    state, action = torch.tensor([[1.0], [8.0]]), torch.tensor([[0.5], [0.0]])
    ensemble = Unsure([1.0, 1.0], plain_reward)
    assert uncertainty(ensemble.predict(state.expand(2, -1, -1), action).std).tolist() == [5, 8]
    assert rollouts(ensemble).step(state, action).reward.tolist() == [2, 8]
    assert rollouts(ensemble, penalty=0.5).step(state, action).reward.tolist() == [-0.5, 4]


@pytest.mark.parametrize('activation', ['silu', 'relu'])
def test_predicted_deviations_and_the_copy_for_planning(activation: str) -> None:
    """One unit of noise moves next state and reward by their std; the copy does just the same."""
    torch.manual_seed(0)
    settings = EnsembleSettings(num_models=2, num_layers=2, width=16, activation=activation)
    ensemble = Ensemble(2, 1, settings)
    with torch.no_grad():
        ensemble.targets.std.copy_(torch.tensor([2.0, 0.5, 10.0]))
        state, action = torch.randn(2, 4, 2), torch.randn(2, 4, 1)
        mean = ensemble.predict(state, action)
        moved = ensemble.predict(state, action, torch.ones(2, 1, 3))
        torch.testing.assert_close(moved.next_state - mean.next_state, mean.std[..., :-1])
        torch.testing.assert_close(moved.reward - mean.reward, mean.std[..., -1])
        copied = PlanningEnsemble(ensemble).step(state, action)
    torch.testing.assert_close(copied, mean.next_state)


def test_activations_make_different_models() -> None:
    state, action = torch.ones(2, 1, 2), torch.ones(2, 1, 1)
    found = []
    for activation in ('silu', 'relu'):
        torch.manual_seed(0)
        ensemble = Ensemble(2, 1, EnsembleSettings(num_models=2, activation=activation))
        with torch.no_grad():
            found.append(ensemble.predict(state, action).next_state)
    assert not torch.allclose(*found)


def test_the_fused_rollout_refuses_another_activation(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the choice between backends falls back on the others."""
    monkeypatch.setattr(fused_ensemble, 'triton', object())
    ensemble = Ensemble(2, 1, EnsembleSettings(num_models=2, activation='relu'))
    with pytest.raises(RuntimeError, match='no activation but silu'):
        fused_ensemble.FusedEnsemble(ensemble)


def test_an_agents_branches_are_its_models() -> None:
    """With lambda, rewards of the half from the model fall and those of the buffer stay."""
    plain, careful = (
        tiny.trained(model_rollouts__fraction=0.5, model_rollouts__length=2) for _ in range(2)
    )
    careful.learner.model_rollouts.penalty = 100.0
    (one, _), (two, _) = plain.learner._experience(), careful.learner._experience()
    assert torch.equal(one.state, two.state)
    assert (two.reward[:4] < one.reward[:4]).all()
    assert torch.equal(two.reward[4:], one.reward[4:])
    assert torch.equal(one.state[2:4], one.next_state[:2])


def test_critics_do_not_learn_from_branches_that_reach_a_goal() -> None:
    """What is there instead is what happened: the model does not know where the next goal is."""
    agent = tiny.trained(model_rollouts__fraction=0.5)
    known = agent.learner.buffer.all().action

    def from_buffer() -> list[bool]:
        batch = agent.learner._experience()[0]
        return [bool((known == action).all(dim=1).any()) for action in batch.action]

    assert from_buffer() == [False] * 4 + [True] * 4
    agent.learner.model_rollouts.task = dataclasses.replace(
        tiny.TASK, goal_resampled=lambda state: torch.arange(len(state)) % 2 == 0
    )
    assert from_buffer() == [True, False, True, False] + [True] * 4
