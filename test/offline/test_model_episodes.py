# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes in the learned models: their figures by hand, and plans that are the planner's own."""

from __future__ import annotations

import dataclasses

import offline
import pytest
import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.models.ensemble import Ensemble, Prediction
from loop_ros.offline.model_episodes import ArcPolicy, evaluate_in_model


@pytest.fixture
def agent() -> Agent:
    training = offline.training('crr')
    training.fit_model()
    return training.agent


def test_returns_and_costs_by_hand(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Model k moves all by 1, pays k + the action and costs k; an episode ends beyond 2.5."""
    num = agent.ensemble.num_models
    number = torch.arange(num, dtype=torch.float32)[:, None]

    def predict(self: Ensemble, state: Tensor, action: Tensor) -> Prediction:
        reward = number + action[..., 0]
        return Prediction(state + 1.0, reward, number.expand_as(reward), torch.zeros_like(state))

    monkeypatch.setattr(Ensemble, 'predict', predict)
    task = dataclasses.replace(agent.task, termination=lambda state: state[..., 0] > 2.5)
    monkeypatch.setattr(agent, 'task', task)
    planner = dataclasses.replace(agent.settings.planner, cost_source='learned')
    monkeypatch.setattr(agent, 'settings', dataclasses.replace(agent.settings, planner=planner))
    starts = torch.zeros(2, task.state_dim)
    starts[1] = 1.0  # two steps to live where the other one has three

    def policy(states: Tensor) -> Tensor:
        return states[:, :1].expand(-1, len(task.action_labels))  # as large as the state

    found = evaluate_in_model(agent, policy, starts, steps=10)
    middle = (num - 1) / 2
    # 3k + 0 + 1 + 2 and 2k + 1 + 2: the step to a terminal state counts, none after it.
    assert found['return'] == pytest.approx(2.5 * middle + 3.0)
    assert found['spread'] == pytest.approx(2.5 * float(number.std(correction=0)))
    assert found['lower'] == pytest.approx(found['return'] - found['spread'])
    assert found['mean_cost'] == pytest.approx(2.5 * middle)
    assert found['worst_cost'] == pytest.approx(3.0 * (num - 1))


@pytest.mark.parametrize('algorithm', ['arc', 'safe_arc'])
def test_plans_are_those_of_the_planner(agent: Agent, algorithm: str) -> None:
    """With so many sequences that chance is small: the same mean of the first action."""
    settings = dataclasses.replace(
        agent.settings.planner, num_samples=4000, proposal_std=0.3, temperature=0.2, horizon=3,
        propagate_noise=False, algorithm=algorithm, d0=0.0, min_safe=1, cost_source='learned',
    )  # fmt: skip
    states = torch.randn(2, agent.task.state_dim, generator=torch.Generator().manual_seed(0))
    actions = ArcPolicy(agent, settings, 4000, seed=1)(states)
    planned = []
    for state in states:
        agent.planner.reset()
        planned.append(agent.planner.plan(state, settings).sequence[0])
    torch.testing.assert_close(actions, torch.stack(planned), rtol=0.0, atol=0.02)
    alone = agent.actor.mean(states).detach()
    assert float((actions - alone).abs().max()) > 0.05  # planning did change them
