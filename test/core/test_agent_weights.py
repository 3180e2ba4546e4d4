# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An agent's weights and checkpoints: handed over, refused, resumed."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from tiny import OBSERVATION, same, tensors

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.types import Plan

EXPERIENCE = tiny.transitions(160)


@pytest.fixture
def agent() -> Agent:
    return tiny.trained()


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


def test_new_weights_are_planned_with_at_once(agent: Agent) -> None:
    """Nothing of the weights before is left in the next plan."""
    old, new = agent.weights(), tiny.trained(seed=9).weights()
    plans = []
    for first in (old, new):
        planner = Agent(tiny.TASK, tiny.settings(), seed=0)
        planner.load_weights(first)
        plans.append(planner.act(OBSERVATION))
        planner.load_weights(new)
        planner.reset()
        plans.append(planner.act(OBSERVATION))
    assert plans[0].predicted_return != plans[2].predicted_return
    np.testing.assert_array_equal(plans[1].sequence, plans[3].sequence)
    assert plans[1].predicted_return == plans[3].predicted_return


def test_an_agent_that_moves_takes_its_weights_along(agent: Agent) -> None:
    moved = agent.on_cpu()
    assert (moved.version, moved.settings) == (agent.version, agent.settings)
    assert same(tensors(moved), tensors(agent))
    twin = Agent(tiny.TASK, tiny.settings(), seed=0)
    twin.load_weights(agent.weights())
    np.testing.assert_array_equal(moved.act(OBSERVATION).sequence, twin.act(OBSERVATION).sequence)


def test_training_is_planned_with_at_once() -> None:
    """The model learns between two plans: the second one is made with what it learned."""
    agent = tiny.trained()
    planner = Agent(tiny.TASK, tiny.settings(), seed=0)
    agent.act(OBSERVATION)
    tiny.learn(agent, EXPERIENCE[60:80])
    planner.load_weights(agent.weights())
    agent.reset()
    for one in (agent, planner):
        calm = dataclasses.replace(
            one.settings.planner,
            algorithm='arc',
            initial_std=0.0,
            actor_fraction=0.0,
            propagate_noise=False,
        )
        one.configure(calm)
    assert agent.act(OBSERVATION).predicted_return == planner.act(OBSERVATION).predicted_return


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


@pytest.mark.parametrize(
    ('already', 'changes'),
    [(45, {}), (60, {}), (60, {'off_policy__batch_norm': True, 'sac__reward_steps': 3})],
)
def test_a_resumed_agent_learns_exactly_as_if_never_stopped(
    already: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    """Buffer, optimisers, targets, temperature, counters and random state all come back."""
    agent = Agent(tiny.TASK, tiny.settings(model_rollouts__fraction=0.25, **changes))
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


def test_an_agent_that_only_plans_makes_no_learner(agent: Agent, tmp_path: Path) -> None:
    """Its optimisers would cost a planner seconds at the start."""
    agent.save(tmp_path, buffer=True)
    planning = Agent.load(tmp_path, tiny.TASK, resume=False)
    planning.act(EXPERIENCE[0].observation)
    assert 'learner' not in vars(planning)
    assert len(planning.learner.buffer) == 0  # made now, and without the saved training


def test_loading_takes_new_settings_but_keeps_the_networks(agent: Agent, tmp_path: Path) -> None:
    agent.save(tmp_path, buffer=True)
    changed = tiny.settings(planner__d0=0.9, ensemble__width=64, off_policy__width=32)
    loaded = Agent.load(tmp_path, tiny.TASK, settings=changed)
    assert loaded.settings.planner.d0 == 0.9
    assert loaded.settings.ensemble == agent.settings.ensemble
    assert loaded.act(OBSERVATION).d0 == 0.9


def test_a_checkpoint_of_another_task_is_refused(agent: Agent, tmp_path: Path) -> None:
    agent.save(tmp_path)
    other = dataclasses.replace(tiny.TASK, name='boat')
    with pytest.raises(ValueError, match=f"{tmp_path}.*for the task 'drift_car', not 'boat'"):
        Agent.load(tmp_path, other)
