# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scoring function against numbers by hand and against plain loops."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from typing import Any

import numpy as np
import pytest
import torch
from known_world import (
    LinearActor,
    LinearCritic,
    LinearEnsemble,
    loop_scores,
    make_rollout,
    plain_reward,
)

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, Critics
from loop_ros.models.parts import Parts
from loop_ros.planning.rollout import Evaluation, Rollout
from loop_ros.settings import EnsembleSettings, OffPolicySettings, PlannerSettings
from loop_ros.sim.drift_car import TASK


def identity(state: torch.Tensor) -> torch.Tensor:
    return state[..., 0]


# s' = s + a, r = s + 2 a, Q1 = 10 s + a, Q2 = 6 s + a, pi(s) = s / 10, gamma = 1/2.
# From s = 1 under a = (1, 2): states 1, 2, 4; rewards 3, 6.
@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({'terminal_value': 'none'}, 3 + 6 / 2),
        # Alg. 3: H-1 rewards, then Q(s_H, a_H) of the state *before* the last action.
        ({'terminal_value': 'q'}, 3 + (10 * 2 + 2) / 2),
        # Eq. 3: H rewards, then gamma^H V(s_H), V(s) = Q(s, pi(s)).
        ({'terminal_value': 'v'}, 3 + 6 / 2 + (10 * 4 + 0.4) / 4),
        ({'terminal_value': 'q', 'critic': 'min'}, 3 + (6 * 2 + 2) / 2),
        ({'terminal_value': 'q', 'critic': 'mean'}, 3 + (8 * 2 + 2) / 2),
        ({'terminal_value': 'v', 'critic': 'min'}, 3 + 6 / 2 + (6 * 4 + 0.4) / 4),
        ({'terminal_value': 'none', 'discount': 1.0}, 3 + 6),
        ({'terminal_value': 'q', 'discount': 0.0}, 3),
    ],
)
def test_return_of_one_sequence_by_hand(changes: dict[str, Any], expected: float) -> None:
    settings = PlannerSettings(**{'discount': 0.5, **changes})
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward))
    scores = rollout(torch.tensor([1.0]), torch.tensor([[[1.0], [2.0]]]), None, settings)
    assert scores.returns.tolist() == pytest.approx([expected], rel=1e-6)


# The same world and actions (1, 2, 1): states 1, 2, 4, 5; rewards 3, 6, 6.
@pytest.mark.parametrize(
    ('limit', 'terminal_value', 'expected'),
    [
        # 2 ends the episode: the reward of the step that led there counts, nothing after it.
        (1.5, 'none', 3),
        (1.5, 'q', 3),
        (1.5, 'v', 3),
        # 4 ends it: two rewards, and no value.
        (3.0, 'none', 3 + 6 / 2),
        (3.0, 'q', 3 + 6 / 2),
        (3.0, 'v', 3 + 6 / 2),
        # 5 ends it: Q(s_H, a_H) of the state before the last action stands, V after it does not.
        (4.5, 'none', 3 + 6 / 2 + 6 / 4),
        (4.5, 'q', 3 + 6 / 2 + (10 * 4 + 1) / 4),
        (4.5, 'v', 3 + 6 / 2 + 6 / 4),
        # Nothing ends it.
        (9.0, 'v', 3 + 6 / 2 + 6 / 4 + (10 * 5 + 0.5) / 8),
    ],
)
def test_nothing_is_gained_after_the_end_of_an_episode(
    limit: float, terminal_value: str, expected: float
) -> None:
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward))
    rollout.task.termination = lambda state: state[..., 0] > limit
    settings = PlannerSettings(discount=0.5, terminal_value=terminal_value)
    sequence = torch.tensor([[[1.0], [2.0], [1.0]]])
    scores = rollout(torch.tensor([1.0]), sequence, None, settings)
    assert scores.returns.tolist() == pytest.approx([expected], rel=1e-6)


def test_each_model_ends_its_own_episode() -> None:
    """Of two models one falls in the first step: the mean is over 3 and 3 + 6 / 2."""
    rollout = make_rollout(LinearEnsemble([5.0, 1.0], plain_reward))
    rollout.task.termination = lambda state: state[..., 0] > 5.5
    settings = PlannerSettings(discount=0.5, terminal_value='none')
    scores = rollout(torch.tensor([1.0]), torch.tensor([[[1.0], [2.0]]]), None, settings)
    assert scores.returns.item() == pytest.approx((3 + 3 + 6 / 2) / 2)


@pytest.mark.parametrize(
    ('limit', 'terminal_value', 'expected'),
    [
        (9.0, 'v', 3 + 6 / 2 + 6 / 4 + 50.5 / 8),  # not met
        (4.5, 'v', 3 + 6 / 2 + 6 / 4 + 50.5 / 8),  # in the last step
        (3.0, 'v', 3 + 6 / 2 + 40.4 / 4),
        (1.5, 'v', 3 + 20.2 / 2),
        (3.0, 'q', 3 + 6 / 2 + (40 + 1) / 4),  # Alg. 3 knows no renewals
        (3.0, 'none', 3 + 6 / 2 + 6 / 4),
    ],
)
def test_a_plan_is_worth_the_value_of_its_renewal(
    limit: float, terminal_value: str, expected: float
) -> None:
    """States 2, 4 and 5 are reached with rewards 3, 6 and 6; V(s) = 10 s + 0.1 s up to s = 10."""
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward))
    rollout.task.goal_resampled = lambda state: state[..., 0] > limit
    settings = PlannerSettings(discount=0.5, terminal_value=terminal_value)
    sequence = torch.tensor([[[1.0], [2.0], [1.0]]])
    scores = rollout(torch.tensor([1.0]), sequence, None, settings)
    assert scores.returns.tolist() == pytest.approx([expected], rel=1e-6)


def test_each_model_renews_in_its_own_time() -> None:
    """Model 0 arrives with its first step, at 6, model 1 never: 3 + V(6) / 2, 6 + V(4) / 4."""
    rollout = make_rollout(LinearEnsemble([5.0, 1.0], plain_reward))
    rollout.task.goal_resampled = lambda state: state[..., 0] > 5.5
    settings = PlannerSettings(discount=0.5, terminal_value='v')
    scores = rollout(torch.tensor([1.0]), torch.tensor([[[1.0], [2.0]]]), None, settings)
    assert scores.returns.item() == pytest.approx((3 + 60.6 / 2 + 6 + 40.4 / 4) / 2)


def test_a_horizon_of_one_is_the_critic_alone() -> None:
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward))
    settings = PlannerSettings(terminal_value='q')
    scores = rollout(torch.tensor([1.0]), torch.tensor([[[0.5]]]), None, settings)
    assert scores.returns.item() == pytest.approx(10.5)


def test_worst_case_cost_by_hand() -> None:
    """Eq. 10: the cost of the states reached, discounted, of the worst model."""
    rollout = make_rollout(LinearEnsemble([1.0, -1.0, 3.0], plain_reward), cost=identity)
    settings = PlannerSettings(discount=0.5)
    scores = rollout(torch.tensor([1.0]), torch.tensor([[[1.0], [2.0]]]), None, settings)
    # Models reach (2, 4), (0, -2), (4, 10): the last one costs most, 4 + 10/2.
    assert scores.costs.tolist() == pytest.approx([9.0])


def test_learned_cost_is_used_where_asked_and_where_no_cost_is_known() -> None:
    ensemble = LinearEnsemble([1.0], plain_reward)
    sequence = torch.tensor([[[1.0], [2.0]]])
    learned = PlannerSettings(discount=0.5, cost_source='learned')
    known = PlannerSettings(discount=0.5)
    start = torch.tensor([1.0])
    by_head = make_rollout(ensemble, cost=identity)(start, sequence, None, learned)
    unknown = make_rollout(ensemble)(start, sequence, None, known)
    # The stand-in's cost head says |s| of the state it starts from: 1, then 2.
    assert by_head.costs.item() == unknown.costs.item() == pytest.approx(1 + 2 / 2)


def test_learned_costs_below_zero_buy_no_safety() -> None:
    class Rebate(LinearEnsemble):
        def predict(self, state: Any, action: Any, noise: Any = None) -> Any:
            return super().predict(state, action, noise)._replace(cost=-torch.ones(state.shape[:2]))

    rollout = make_rollout(Rebate([1.0], plain_reward))
    settings = PlannerSettings(cost_source='learned')
    scores = rollout(torch.tensor([1.0]), torch.zeros(1, 3, 1), None, settings)
    assert scores.costs.item() == 0.0


def test_pessimism_by_hand() -> None:
    """Eq. 9: mean over models less beta_pess standard deviations over models."""
    rollout = make_rollout(LinearEnsemble([0.0, 1.0, 2.0], plain_reward))
    settings = PlannerSettings(discount=1.0, terminal_value='none', pessimism=2.0)
    scores = rollout(torch.tensor([0.0]), torch.tensor([[[1.0], [0.0]]]), None, settings)
    # Rewards 2 and then the state reached: returns 2, 3, 4.
    assert scores.returns.item() == pytest.approx(3.0 - 2.0 * math.sqrt(2.0 / 3.0), rel=1e-6)


def test_pessimism_ignores_the_spread_of_particles() -> None:
    """One model means no disagreement, however noisy it is."""
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward, noise_std=1.0))
    noise = torch.randn(3, 1, 8, 2, generator=torch.Generator().manual_seed(0))
    sequence = torch.zeros(1, 3, 1)
    calm = rollout(torch.ones(1), sequence, noise, PlannerSettings(num_particles=8))
    wary = rollout(torch.ones(1), sequence, noise, PlannerSettings(num_particles=8, pessimism=5.0))
    assert wary.returns.item() == pytest.approx(calm.returns.item(), rel=1e-6)


@pytest.mark.parametrize('terminal_value', ['q', 'v', 'none'])
@pytest.mark.parametrize('pessimism', [0.0, 0.7])
def test_batched_scores_equal_plain_loops(terminal_value: str, pessimism: float) -> None:
    gains, std = [0.5, 1.0, 1.7], 0.3
    settings = PlannerSettings(
        terminal_value=terminal_value, pessimism=pessimism, discount=0.9, num_particles=4
    )
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(5, 3, 4, 2))
    sequences = rng.uniform(-1, 1, size=(6, 5))
    returns, costs = loop_scores(gains, std, 0.4, sequences.tolist(), noise, settings)
    rollout = make_rollout(
        LinearEnsemble(gains, plain_reward, std), cost=lambda s: s[..., 0].clamp(min=0)
    )
    scores = rollout(
        torch.tensor([0.4], dtype=torch.float64),
        torch.as_tensor(sequences)[..., None],
        torch.as_tensor(noise),
        settings,
    )
    np.testing.assert_allclose(scores.returns.numpy(), returns, rtol=1e-12)
    np.testing.assert_allclose(scores.costs.numpy(), costs, rtol=1e-12)


@pytest.fixture
def networks() -> Rollout:
    torch.manual_seed(0)
    ensemble = Ensemble(3, 2, EnsembleSettings(num_models=3, num_layers=2, width=16))
    parts = Parts(ensemble, Actor(3, 2, 16), Critics(3, 2, OffPolicySettings(width=16)))
    return Rollout(parts, dataclasses.replace(TASK, cost=lambda s: s[..., 0].abs()))


def test_a_sequence_scores_the_same_alone_and_among_others(networks: Rollout) -> None:
    generator = torch.Generator().manual_seed(1)
    sequences = torch.rand(7, 4, 2, generator=generator) * 2 - 1
    noise = torch.randn(4, 3, 5, networks.parts.ensemble.noisy_dim, generator=generator)
    settings = PlannerSettings(num_particles=5, pessimism=1.0)
    state = torch.tensor([0.2, -0.1, 0.5])
    with torch.no_grad():
        together = networks(state, sequences, noise, settings)
        for i in range(7):
            alone = networks(state, sequences[i : i + 1], noise, settings)
            torch.testing.assert_close(alone.returns[0], together.returns[i], rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(alone.costs[0], together.costs[i], rtol=1e-5, atol=1e-6)


def test_shares_of_threads_score_as_one(networks: Rollout) -> None:
    generator = torch.Generator().manual_seed(1)
    sequences = torch.rand(201, 4, 2, generator=generator) * 2 - 1
    noise = torch.randn(4, 3, 2, networks.parts.ensemble.noisy_dim, generator=generator)
    state = torch.tensor([0.2, -0.1, 0.5])
    used: set[int] = set()
    score = networks.evaluate

    def watched(*arguments: Any, **named: Any) -> Evaluation:
        used.add(threading.get_ident())
        return score(*arguments, **named)

    networks.evaluate = watched  # type: ignore[method-assign]
    scores = []
    with torch.inference_mode():
        for number in (1, 3):
            settings = PlannerSettings(num_particles=2, rollout_threads=number)
            scores.append(networks(state, sequences, noise, settings))
    assert threading.get_ident() in used and len(used) > 1
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-5)


def test_every_model_is_its_own_network(networks: Rollout) -> None:
    """Model k in the batch computes what its layers say, one matrix product at a time."""
    state, action = torch.tensor([0.3, -0.2, 0.1]), torch.tensor([0.5, -0.5])
    with torch.no_grad():
        predicted = networks.parts.ensemble.predict(state.expand(3, 1, -1), action.expand(3, 1, -1))
        for k in range(3):
            x = torch.cat((state, action))
            layers: list[Any] = list(networks.parts.ensemble.network.layers)
            for i, layer in enumerate(layers):
                x = x @ layer.weight[k] + layer.bias[k, 0]
                if i < len(layers) - 1:
                    x = x * torch.sigmoid(x)
            torch.testing.assert_close(predicted.next_state[k, 0], state + x[:3])
            torch.testing.assert_close(predicted.reward[k, 0], x[3])


def test_particles_of_every_sequence_meet_the_same_noise(networks: Rollout) -> None:
    """Two copies of a sequence score alike, and another particle count is another sample."""
    noise = torch.randn(4, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    twice = torch.rand(1, 4, 2).expand(2, -1, -1)
    settings = PlannerSettings(num_particles=6)
    with torch.no_grad():
        scores = networks(torch.zeros(3), twice, noise, settings)
        shifted = networks(torch.zeros(3), twice, noise.roll(1, dims=2), settings)
    torch.testing.assert_close(scores.returns[0], scores.returns[1])
    torch.testing.assert_close(scores.returns, shifted.returns)  # particles have no order


def test_noise_scales_with_the_predicted_variance(networks: Rollout) -> None:
    ensemble = networks.parts.ensemble
    ensemble.targets.std.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    state, action = torch.zeros(3, 1, 3), torch.zeros(3, 1, 2)
    with torch.no_grad():
        _, log_var, _ = ensemble(torch.zeros(3, 1, 5))
        calm = ensemble.predict(state, action)
        noisy = ensemble.predict(state, action, torch.ones(3, 1, 4))
    deviation = log_var.div(2).exp() * ensemble.targets.std
    torch.testing.assert_close(noisy.next_state - calm.next_state, deviation[..., :3])
    torch.testing.assert_close(noisy.reward - calm.reward, deviation[..., 3])


def test_actor_sequences_follow_the_actor_through_one_model_each() -> None:
    gains, slope, start = [1.0, 2.0], -0.3, 0.8
    rollout = make_rollout(LinearEnsemble(gains, plain_reward), LinearActor(slope))
    noise = 0.1 * torch.randn(3, 5, 4, 1, generator=torch.Generator().manual_seed(0))
    settings = PlannerSettings(actor_noise=0.5)
    sequences = rollout.actor_sequences(torch.tensor([start]), noise, settings)
    assert sequences.shape == noise.shape
    for draw, i in itertools.product(range(3), range(5)):
        s = start
        for t in range(4):
            # The first sequence is the actor's mean, the others carry its noise.
            added = 0.0 if i == 0 else 0.5 * noise[draw, i, t, 0].item()
            a = min(1.0, max(-1.0, slope * s + added))
            assert sequences[draw, i, t, 0].item() == pytest.approx(a, abs=1e-6)
            s = s + gains[i % 2] * a


def test_evaluated_states_are_the_mean_of_models_and_particles() -> None:
    rollout = make_rollout(LinearEnsemble([1.0, 3.0], plain_reward, noise_std=1.0))
    noise = torch.zeros(2, 2, 2, 2)
    noise[0, :, 1, 0] = 10.0  # the second particle is kicked in the first step
    settings = PlannerSettings(num_particles=2)
    scores, spread, path, _ = rollout.evaluate(
        torch.tensor([1.0]), torch.tensor([[[0.5], [-1.0]]]), noise, settings
    )
    # Models and particles reach (1.5, 11.5, 2.5, 12.5), then (0.5, 10.5, -0.5, 9.5).
    assert path.mean(dim=(1, 2))[:, 0].tolist() == pytest.approx([7.0, 5.0])
    again = rollout(torch.tensor([1.0]), torch.tensor([[[0.5], [-1.0]]]), noise, settings)
    torch.testing.assert_close(scores, again)
    # Before their last action the models are at 6.5 and 7.5 on average, where Q1 = 10 s + a.
    assert spread.item() == pytest.approx(0.5 * 0.99 * 10.0 * (7.5 - 6.5))


def test_critic_first_is_the_first_of_both() -> None:
    torch.manual_seed(0)
    critic = Critics(3, 2, OffPolicySettings(width=16, layer_norm=True))
    state, action = torch.randn(9, 3), torch.randn(9, 2)
    both = critic(state, action)
    torch.testing.assert_close(critic.first(state, action), both[0])
    assert not torch.allclose(both[0], both[1])
    assert LinearCritic()(state[:, :1], action[:, :1]).shape == both.shape
