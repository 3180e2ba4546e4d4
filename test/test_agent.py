# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole of LOOP without ROS, as its users see it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.learning import checkpoint
from loop_ros.runner import run_episode
from loop_ros.settings import LearningSettings
from loop_ros.sim import registry
from loop_ros.types import Plan

OBSERVATION = np.array([1.0, 0.0, 1.6, 1.5, 0.1, 0.5])
EXPERIENCE = tiny.transitions(160)


@pytest.fixture
def agent() -> Agent:
    return tiny.trained()


def configured(agent: Agent, **changes: Any) -> Agent:
    agent.configure(dataclasses.replace(agent.settings.planner, **changes))
    return agent


def tensors(agent: Agent) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in agent._tensors().items()}


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, two[name]) for name, value in one.items())


# --- acting ---


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
    mean = agent.act_without_planning(OBSERVATION)
    np.testing.assert_allclose(agent.act(OBSERVATION).action, mean, rtol=1e-6)
    noisy = np.array([agent.act(OBSERVATION, explore=True).action for _ in range(200)])
    scaled = tiny.TASK.normalize_action(noisy) - tiny.TASK.normalize_action(mean)
    assert 0.2 < scaled.std() < 0.4
    explored = agent.act(OBSERVATION, explore=True)
    np.testing.assert_array_equal(explored.action, explored.sequence[0])
    np.testing.assert_allclose(explored.sequence[1:], [mean] * 2, rtol=1e-6)


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


@settings(max_examples=40, deadline=None)
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
        assert np.isfinite((plan.predicted_return, plan.worst_cost, plan.actor_divergence)).all()


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


# --- learning ---


def test_learning_follows_its_schedule() -> None:
    """The ensemble after the random steps, then every K_m steps; SAC from a full batch on."""
    agent = Agent(tiny.TASK, tiny.settings())
    reports = tiny.learn(agent, EXPERIENCE[:101])
    trainings = [i + 1 for i, report in enumerate(reports) if 'model_loss' in report]
    assert trainings == [40, 60, 80, 100]
    assert agent.version == 4
    assert agent.num_steps == 101
    first_update = next(i + 1 for i, report in enumerate(reports) if 'critic_loss' in report)
    assert first_update == 8
    assert all('critic_loss' in report for report in reports[7:])
    assert all(math.isfinite(value) for report in reports for value in report.values())


def test_learning_changes_every_network() -> None:
    agent = Agent(tiny.TASK, tiny.settings())
    before = tensors(agent)
    tiny.learn(agent, EXPERIENCE[:60])
    for part in ('ensemble.network', 'actor.network', 'critic.network'):
        names = [name for name in before if name.startswith(part)]
        assert names
        assert all(not torch.equal(before[name], agent._tensors()[name]) for name in names)


def test_transitions_arrive_encoded_and_scaled_in_the_buffer() -> None:
    agent = Agent(tiny.TASK, tiny.settings())
    transition = EXPERIENCE[5]
    agent.observe(transition)
    batch = agent.learner.buffer.all()
    state = tiny.TASK.encode(torch.as_tensor(transition.observation)).float()
    reached = tiny.TASK.encode(torch.as_tensor(transition.next_observation)).float()
    torch.testing.assert_close(batch.state[0], state)
    torch.testing.assert_close(batch.next_state[0], reached)
    scaled = 2 * (transition.action - np.array([0, -math.pi / 6])) / [10, math.pi / 3] - 1
    np.testing.assert_allclose(batch.action[0], scaled, rtol=1e-5, atol=1e-6)
    assert batch.reward.item() == pytest.approx(transition.reward)
    assert batch.cost.item() == transition.cost
    assert batch.terminated.item() == 0.0


def test_only_a_terminated_episode_ends_the_value() -> None:
    """Running out of time says nothing about the state; failing does."""
    agent = Agent(tiny.TASK, tiny.settings())
    agent.observe(dataclasses.replace(EXPERIENCE[0], truncated=True))
    agent.observe(dataclasses.replace(EXPERIENCE[0], terminated=True))
    assert agent.learner.buffer.all().terminated.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'reward': math.nan}, 'transition 0/0: .*not finite'),
        ({'cost': math.inf}, 'not finite'),
        ({'stamp': math.nan}, 'not finite'),
        ({'observation': np.array([1, 2, 3, math.nan, 5, 6])}, 'not finite'),
        ({'next_observation': np.full(6, -math.inf)}, 'not finite'),
        ({'action': np.array([math.nan, 0.0])}, 'not finite'),
        ({'observation': np.zeros(5)}, r'observation has shape \(5,\), expected \(6,\)'),
        ({'next_observation': np.zeros((1, 6))}, r'next_observation has shape \(1, 6\)'),
        ({'action': np.zeros(3)}, r'action has shape \(3,\), expected \(2,\)'),
    ],
)
def test_unusable_transitions_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    agent = Agent(tiny.TASK, tiny.settings())
    with pytest.raises(ValueError, match=message):
        agent.observe(dataclasses.replace(EXPERIENCE[0], **changes))
    assert agent.num_steps == len(agent.learner.buffer) == 0


def test_stop_reaches_the_ensembles_training() -> None:
    agent = Agent(tiny.TASK, tiny.settings())
    for transition in EXPERIENCE[:40]:
        agent.observe(transition)
    assert agent.update(stop=lambda: True)['model_epochs'] == 0


def test_a_first_training_on_next_to_nothing_is_no_disaster() -> None:
    fewest = LearningSettings.__dataclass_fields__['random_steps'].metadata['minimum']
    agent = Agent(tiny.TASK, tiny.settings(learning__random_steps=fewest))
    reports = tiny.learn(agent, EXPERIENCE[:30])
    assert all(math.isfinite(v) for report in reports for v in report.values())
    assert np.isfinite(agent.act(OBSERVATION).action).all()


def test_imagined_transitions_join_the_batches() -> None:
    """MBPO's share: the critics learn from the model's predictions too, and differ for it."""
    plain = tiny.trained(sac__model_fraction=0.0)
    imagined = tiny.trained(sac__model_fraction=0.5)
    assert not same(tensors(plain), tensors(imagined))
    assert all(torch.isfinite(value).all() for value in tensors(imagined).values())
    batch = imagined.learner._sac_batch()
    known = imagined.learner.buffer.all().action
    from_buffer = [bool((known == action).all(dim=1).any()) for action in batch.action]
    assert from_buffer == [False] * 4 + [True] * 4


# --- weights ---


def test_weights_carry_everything_a_planner_needs(agent: Agent) -> None:
    planner = Agent(tiny.TASK, tiny.settings(), seed=0)
    data = agent.weights()
    assert not planner.ready
    assert planner.load_weights(data) == agent.version == planner.version
    assert planner.ready
    assert same(tensors(agent), tensors(planner))
    # The same seed and weights give the same plan.
    other = Agent(tiny.TASK, tiny.settings(), seed=0)
    other.load_weights(data)
    for _ in range(3):
        one, two = planner.act(OBSERVATION), other.act(OBSERVATION)
        np.testing.assert_array_equal(one.sequence, two.sequence)
        assert one.predicted_return == two.predicted_return


def broken(agent: Agent, change: str) -> bytes:
    """Weights that must be refused."""
    data = agent.weights()
    loaded, metadata = checkpoint.unpack(data, 'test')
    name = 'critic.network.layers.2.weight'  # the last part to be copied
    match change:
        case 'task':
            metadata['task'] = 'other_task'
        case 'no version':
            del metadata['version']
        case 'bad version':
            metadata['version'] = 'new'
        case 'shape':
            loaded[name] = loaded[name][:, :-1]
        case 'missing':
            del loaded[name]
        case 'nan':
            loaded[name][0, 0, 0] = math.nan
        case 'inf':
            loaded[name][0, 0, 0] = math.inf
        case 'truncated':
            return data[:-4]
        case 'nothing':
            return b''
    return checkpoint.pack(loaded, metadata)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ('task', "the topic: for task 'other_task', not 'drift_car'"),
        ('no version', 'the topic: .*version'),
        ('bad version', 'the topic: .*version'),
        ('shape', r'critic\.network\.layers\.2\.weight is \(2, 7, 1\), expected \(2, 8, 1\)'),
        ('missing', r'critic\.network\.layers\.2\.weight is nothing, expected'),
        ('nan', r'the topic: critic\.network\.layers\.2\.weight is not finite'),
        ('inf', 'not finite'),
        ('truncated', 'the topic: not a readable safetensors file'),
        ('nothing', 'the topic: not a readable safetensors file'),
    ],
)
def test_refused_weights_leave_the_agent_as_it_was(agent: Agent, change: str, message: str) -> None:
    receiver = Agent(tiny.TASK, tiny.settings(), seed=5)
    receiver.load_weights(tiny.trained(seed=5).weights())
    before, version = tensors(receiver), receiver.version
    with pytest.raises(ValueError, match=message):
        receiver.load_weights(broken(agent, change), 'the topic')
    assert same(before, tensors(receiver))
    assert receiver.version == version


def test_weights_of_another_profile_say_so(agent: Agent) -> None:
    wider = Agent(tiny.TASK, tiny.settings(ensemble__width=16))
    with pytest.raises(ValueError, match='the profile that trained them must be the one'):
        wider.load_weights(agent.weights())


# --- checkpoints ---


def test_a_saved_agent_plans_as_before(agent: Agent, tmp_path: Path) -> None:
    agent.save(tmp_path)
    loaded = Agent.load(tmp_path, tiny.TASK, seed=2)
    assert loaded.settings == agent.settings
    assert (loaded.version, same(tensors(agent), tensors(loaded))) == (agent.version, True)
    fresh = Agent(tiny.TASK, agent.settings, seed=2)
    fresh.load_weights(agent.weights())

    def driven(driver: Agent) -> list[Plan]:
        return [driver.act(transition.observation) for transition in EXPERIENCE[:5]]

    for one, two in zip(driven(loaded), driven(fresh), strict=True):
        np.testing.assert_array_equal(one.sequence, two.sequence)


@pytest.mark.parametrize('already', [45, 60])
def test_a_resumed_agent_learns_exactly_as_if_never_stopped(already: int, tmp_path: Path) -> None:
    """Buffer, optimisers, targets, temperature, counters and random state all come back."""
    agent = Agent(tiny.TASK, tiny.settings(sac__model_fraction=0.25))
    tiny.learn(agent, EXPERIENCE[:already])
    agent.save(tmp_path, buffer=True)
    resumed = Agent.load(tmp_path, tiny.TASK)
    assert resumed.num_steps == already
    expected = tiny.learn(agent, EXPERIENCE[already:130])
    assert tiny.learn(resumed, EXPERIENCE[already:130]) == expected
    assert same(tensors(agent), tensors(resumed))
    assert agent.version == resumed.version
    before, after = agent.learner.tensors(), resumed.learner.tensors()
    assert same(before, after)
    assert same(after, before)


def test_a_checkpoint_without_buffer_plans_but_starts_learning_anew(
    agent: Agent, tmp_path: Path
) -> None:
    agent.save(tmp_path / 'small')
    agent.save(tmp_path / 'full', buffer=True)
    small = Agent.load(tmp_path / 'small', tiny.TASK)
    assert small.ready
    assert len(small.learner.buffer) == 0
    assert len(Agent.load(tmp_path / 'full', tiny.TASK).learner.buffer) == 60


def test_loading_takes_new_settings_but_keeps_the_networks(agent: Agent, tmp_path: Path) -> None:
    agent.save(tmp_path, buffer=True)
    changed = tiny.settings(planner__d0=0.9, ensemble__width=64, sac__width=32)
    loaded = Agent.load(tmp_path, tiny.TASK, settings=changed)
    assert loaded.settings.planner.d0 == 0.9
    assert loaded.settings.ensemble == agent.settings.ensemble
    assert loaded.act(OBSERVATION).d0 == 0.9


def test_a_checkpoint_of_another_task_is_refused(agent: Agent, tmp_path: Path) -> None:
    agent.save(tmp_path)
    other = dataclasses.replace(tiny.TASK, name='boat')
    with pytest.raises(ValueError, match=f"{tmp_path}.*for task 'drift_car', not 'boat'"):
        Agent.load(tmp_path, other)


# --- the whole loop ---


def test_a_short_run_of_algorithm_1_repeats_exactly() -> None:
    """An episode from scratch: random at first, planned from the first training on."""

    def run() -> tuple[list[float], list[bool]]:
        agent = Agent(tiny.TASK, tiny.settings(), seed=3)
        env = registry.make('drift_car')
        planned: list[bool] = []

        def on_transition(transition: Any) -> None:
            planned.append(agent.ready)
            tiny.learn(agent, [transition])

        episode = run_episode(env, agent, 0, seed=3, explore=True, on_transition=on_transition)
        row = episode.row(tiny.TASK.metrics)
        assert row['steps'] == 100
        assert row['return'] == pytest.approx(sum(episode.rewards))
        assert len(episode.observations) == 101
        return episode.rewards, planned

    (rewards, planned), (again, _) = run(), run()
    assert rewards == again
    assert planned == [False] * 40 + [True] * 60
