# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An agent acts: plans, settings, warm start, exploration, limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import OBSERVATION, configured

from loop_ros.agent import Agent


@pytest.fixture
def agent() -> Agent:
    return tiny.trained()


def test_before_there_is_a_model_actions_are_random_and_uniform() -> None:
    agent = Agent(tiny.TASK, tiny.settings(), seed=1)
    assert not agent.ready
    assert agent.version == agent.num_steps == 0
    actions = np.array([agent.act(OBSERVATION, explore=True).action for _ in range(400)])
    low, high = np.array(tiny.TASK.action_low), np.array(tiny.TASK.action_high)
    share = (actions - low) / (high - low)
    assert share.min() > 0.0
    assert share.max() < 1.0
    # Uniform: mean 1/2 and standard deviation 1/sqrt(12), each five standard errors wide.
    np.testing.assert_allclose(share.mean(axis=0), 0.5, atol=0.08)
    np.testing.assert_allclose(share.std(axis=0), 1 / math.sqrt(12), atol=0.05)
    assert abs(np.corrcoef(share.T)[0, 1]) < 0.2
    again = Agent(tiny.TASK, tiny.settings(), seed=1).act(OBSERVATION, explore=True).action
    np.testing.assert_array_equal(again, actions[0])


def test_a_plan_is_complete_and_in_physical_units(agent: Agent) -> None:
    plan = agent.act(OBSERVATION)
    assert plan.sequence.shape == (3, 2)
    assert plan.states.shape == (4, 6)
    np.testing.assert_array_equal(plan.action, plan.sequence[0])
    state = tiny.TASK.encode(torch.as_tensor(OBSERVATION)).numpy()
    np.testing.assert_allclose(plan.states[0], state, atol=1e-6)
    assert plan.d0 == agent.settings.planner.d0
    assert 0.0 <= plan.safe_fraction <= 1.0
    assert plan.worst_cost >= 0.0
    assert 0.0 < plan.plan_s < 10.0
    for array in (plan.action, plan.sequence, plan.states):
        assert array.dtype == np.float64
    normalised = tiny.TASK.normalize_action(plan.action)
    actor = tiny.TASK.normalize_action(agent.act_without_planning(OBSERVATION))
    assert plan.actor_divergence == pytest.approx(np.linalg.norm(normalised - actor), abs=1e-5)


def test_exploration_is_as_wide_as_the_plan_is_unsure() -> None:
    """The same noise, scaled by the deviation of the plan's candidates; none when not exploring."""
    narrow = {'initial_std': 0.02, 'variance_update': 0.0, 'actor_fraction': 0.0}
    mean = configured(tiny.trained(), **narrow).act(OBSERVATION)
    quiet = configured(tiny.trained(), **narrow, plan_exploration=2.0).act(OBSERVATION)
    np.testing.assert_array_equal(quiet.action, mean.action)
    drawn = [
        configured(tiny.trained(), **changes).act(OBSERVATION, explore=True)
        for changes in ({**narrow, 'plan_exploration': 2.0}, {**narrow, 'exploration_std': 0.04})
    ]
    assert not np.array_equal(drawn[0].action, mean.action)
    np.testing.assert_allclose(drawn[0].action, drawn[1].action, rtol=1e-5)


def test_where_the_executed_action_leads_is_predicted_on_demand() -> None:
    """Mean and deviation of states that are drawn from the models; the plan stays the same."""
    plain, asked = (configured(tiny.trained(), exploration_std=0.3) for _ in range(2))
    without = plain.act(OBSERVATION, explore=True)
    plan = asked.act(OBSERVATION, explore=True, predict_next=True)
    np.testing.assert_array_equal(without.sequence, plan.sequence)
    assert without.next_state is None and without.next_std is None
    np.testing.assert_allclose(plan.actor_action, asked.act_without_planning(OBSERVATION))

    models, state = asked.ensemble.num_models, torch.as_tensor(plan.states[0]).float()
    action = torch.as_tensor(tiny.TASK.normalize_action(plan.action)).float()
    noise = torch.randn(models, 20_000, 7, generator=torch.Generator().manual_seed(0))
    rows = state.expand(models, 20_000, -1), action.expand(models, 20_000, -1)
    with torch.inference_mode():
        drawn = asked.ensemble.predict(*rows, noise).next_state.flatten(0, 1)
    assert plan.next_state is not None and plan.next_std is not None
    np.testing.assert_allclose(plan.next_std, drawn.std(dim=0), rtol=0.03)
    assert (np.abs(plan.next_state - drawn.mean(dim=0).numpy()) < 0.03 * plan.next_std).all()
    untrained = Agent(tiny.TASK, tiny.settings()).act(OBSERVATION, predict_next=True)
    assert untrained.next_std is None
    assert not untrained.predicted and np.isnan(untrained.worst_cost)


def test_wheel_speed_and_steering_are_scaled_to_their_own_limits(agent: Agent) -> None:
    """A planner that always says (0.5, -0.5) commands 7.5 m/s and -pi/12."""
    with torch.no_grad():
        for p in agent.actor.parameters():
            p.zero_()
        bias: Any = agent.actor.network.layers[-1].bias
        bias[0, 0, :2] = torch.atanh(torch.tensor([0.5, -0.5]))
    expected = [7.5, -math.pi / 12]
    np.testing.assert_allclose(agent.act_without_planning(OBSERVATION), expected, rtol=1e-6)
    plan = configured(agent, algorithm='actor').act(OBSERVATION)
    np.testing.assert_allclose(plan.sequence, [expected] * 3, rtol=1e-6)
    assert plan.actor_divergence == pytest.approx(0.0, abs=1e-6)


def test_configure_takes_effect_with_the_next_plan(agent: Agent) -> None:
    assert agent.act(OBSERVATION).d0 == 0.2
    configured(agent, d0=0.75)
    assert agent.act(OBSERVATION).d0 == 0.75
    assert len(configured(agent, horizon=5).act(OBSERVATION).sequence) == 5
    # Safe share of the same candidates: none below an impossible threshold, all under a lax one.
    outside = np.array([1.5, 0.0, 1.6, 0.0, 0.0, 0.0])
    cost_of_all = configured(agent, d0=0.0, initial_std=0.1).act(outside)
    assert cost_of_all.safe_fraction == 0.0
    assert cost_of_all.worst_cost > 0.0
    assert configured(agent, d0=1e6).act(outside).safe_fraction == 1.0


@pytest.mark.parametrize('algorithm', ['safe_arc', 'arc', 'safe_cem', 'cem'])
def test_d0_changes_the_command_of_the_safe_planners_only(algorithm: str) -> None:
    def action(d0: float) -> np.ndarray:
        agent = tiny.trained(planner__algorithm=algorithm, planner__num_samples=60)
        # A model that disagrees with itself near the limit: some candidates cost, some do not.
        edge = np.array([1.19, 0.0, 1.6, 2.0, 0.0, 0.0])
        return configured(agent, d0=d0, initial_std=1.0, mean_update=1.0).act(edge).action

    assert np.array_equal(action(0.0), action(1e6)) is (not algorithm.startswith('safe_'))


def test_the_warm_start_is_forgotten_on_reset(agent: Agent) -> None:
    configured(agent, initial_std=0.0, actor_fraction=0.0, mean_update=1.0)
    middle = tiny.TASK.denormalize_action(np.zeros(2))
    np.testing.assert_allclose(agent.act(OBSERVATION).action, middle)
    configured(agent, initial_std=0.5)
    last = agent.act(OBSERVATION)
    configured(agent, initial_std=0.0)
    np.testing.assert_allclose(agent.act(OBSERVATION).action, last.sequence[1], rtol=1e-5)
    agent.reset()
    np.testing.assert_allclose(agent.act(OBSERVATION).action, middle)


def test_exploration_noise_is_executed_but_not_planned_on(agent: Agent) -> None:
    configured(agent, algorithm='actor', exploration_std=0.3)
    with torch.no_grad():
        agent.actor.network.layers[-1].bias[..., len(tiny.TASK.action_labels) :] = -20.0  # no noise
    mean = agent.act_without_planning(OBSERVATION)
    np.testing.assert_allclose(agent.act(OBSERVATION).action, mean, rtol=1e-6)
    noisy = np.array([agent.act(OBSERVATION, explore=True).action for _ in range(200)])
    scaled = tiny.TASK.normalize_action(noisy) - tiny.TASK.normalize_action(mean)
    assert 0.2 < scaled.std() < 0.4
    explored = agent.act(OBSERVATION, explore=True)
    np.testing.assert_array_equal(explored.action, explored.sequence[0])
    np.testing.assert_allclose(explored.sequence[1:], [mean] * 2, atol=1e-2)


def test_without_a_planner_the_actor_explores_by_its_own_noise(agent: Agent) -> None:
    configured(agent, algorithm='actor')
    with torch.no_grad():
        agent.actor.network.layers[-1].weight.zero_()
        agent.actor.network.layers[-1].bias.zero_()
    drawn = np.array([agent.act(OBSERVATION, explore=True).action for _ in range(400)])
    scaled = tiny.TASK.normalize_action(drawn)
    # tanh of a standard normal variable: mean 0, standard deviation 0.628
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=0.12)
    np.testing.assert_allclose(scaled.std(axis=0), 0.628, atol=0.06)
    still = agent.act(OBSERVATION).action
    np.testing.assert_allclose(tiny.TASK.normalize_action(still), 0.0, atol=1e-6)


def test_the_actor_drives_its_share_of_the_episodes_from_their_start_to_their_end() -> None:
    agent = tiny.trained()
    configured(agent, actor_episodes=0.3)
    episodes = []
    for _ in range(200):
        agent.reset()
        episodes.append({agent.act(OBSERVATION, explore=True).iterations > 0 for _ in range(2)})
    assert all(len(planned) == 1 for planned in episodes)
    alone = sum(planned == {False} for planned in episodes)
    assert 40 <= alone <= 80  # 60 and three standard deviations
    agent.actor_drives = True
    assert agent.act(OBSERVATION).iterations > 0, 'it does not explore'


def test_a_seed_determines_the_agent() -> None:
    def actions(seed: int) -> np.ndarray:
        agent = tiny.trained(seed=seed)
        return np.array([agent.act(OBSERVATION).action for _ in range(3)])

    np.testing.assert_array_equal(actions(3), actions(3))
    assert not np.array_equal(actions(3), actions(4))


def test_agents_leave_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    tiny.trained(seed=7).act(OBSERVATION)
    assert torch.equal(torch.rand(1), expected)


finite = st.floats(-50, 50)


@settings(max_examples=40)
@given(
    changes=st.fixed_dictionaries(
        {
            'algorithm': st.sampled_from(['safe_arc', 'arc', 'safe_cem', 'cem', 'actor']),
            'd0': st.sampled_from([0.0, 0.2, 1e6]),
            'horizon': st.integers(1, 30),
            'num_samples': st.integers(2, 12),
            'num_particles': st.integers(1, 3),
            'num_iterations': st.integers(1, 3),
            'temperature': st.sampled_from([1e-6, 0.1, 1e6]),
            'actor_fraction': st.floats(0, 1),
            'initial_std': st.sampled_from([0.0, 0.5, 10.0]),
            'sample_correlation': st.floats(0, 0.999),
            'truncate_samples': st.booleans(),
            'mean_update': st.floats(0, 1),
            'variance_update': st.floats(0, 1),
            'min_safe': st.integers(1, 20),
            'elite_fraction': st.floats(0, 1),
            'discount': st.floats(0, 1),
            'terminal_value': st.sampled_from(['q', 'v', 'none']),
            'critic': st.sampled_from(['q1', 'min', 'mean']),
            'pessimism': st.sampled_from([0.0, 5.0]),
            'cost_source': st.sampled_from(['known', 'learned']),
            'propagate_noise': st.booleans(),
            'resample_actor': st.booleans(),
            'exploration_std': st.floats(0, 1),
            'plan_exploration': st.floats(0, 10),
        }
    ),
    observation=st.tuples(finite, finite, finite, finite, finite, finite),
)
def test_no_setting_commands_beyond_the_limits(
    changes: dict[str, Any], observation: tuple[float, ...]
) -> None:
    agent = configured(SHARED, **changes)
    for _ in range(2):
        plan = agent.act(np.array(observation), explore=True)
        assert (plan.sequence >= tiny.TASK.action_low).all()
        assert (plan.sequence <= tiny.TASK.action_high).all()
        assert np.isfinite(plan.actor_divergence)
        metrics = plan.predicted_return, plan.worst_cost
        assert not plan.predicted or plan.diverged or np.isfinite(metrics).all()


SHARED = tiny.trained()


def test_a_model_that_explodes_commands_nothing_wild() -> None:
    """Weights may be finite and their rollout not: the command must stay a command."""
    agent = tiny.trained()
    with torch.no_grad():
        for p in agent.ensemble.network.parameters():
            p.mul_(1e6)
    for algorithm in ('safe_arc', 'arc', 'safe_cem', 'cem'):
        plan = configured(agent, algorithm=algorithm, horizon=20).act(OBSERVATION)
        assert (plan.action >= tiny.TASK.action_low).all(), algorithm
        assert (plan.action <= tiny.TASK.action_high).all(), algorithm


@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_an_observation_that_is_not_finite_is_refused(agent: Agent, value: float) -> None:
    broken = OBSERVATION.copy()
    broken[3] = value
    with pytest.raises(ValueError, match='observation'):
        agent.act(broken)
    assert np.isfinite(agent.act(OBSERVATION).action).all(), 'and the next one is planned from'


@pytest.mark.parametrize('device', ['gpu', 'cuda:99'])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}': "):
        Agent(tiny.TASK, tiny.settings(), device)
