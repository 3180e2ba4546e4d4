# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An agent learns: schedule, experience, refusals, the whole loop of Alg. 1."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from tiny import OBSERVATION, same, tensors

from loop_ros.agent import Agent
from loop_ros.runner import run_episode
from loop_ros.settings import LearningSettings
from loop_ros.sim import registry

EXPERIENCE = tiny.transitions(160)


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


def test_a_training_that_fell_due_without_an_update_is_made_up_for_once() -> None:
    """Steps 40 and 60 went by unlearned, as where a learner catches up."""
    agent = Agent(tiny.TASK, tiny.settings())
    tiny.learn(agent, EXPERIENCE[:30])
    for transition in EXPERIENCE[30:70]:
        agent.observe(transition)
    reports = tiny.learn(agent, EXPERIENCE[70:81])
    assert [i + 71 for i, report in enumerate(reports) if 'model_loss' in report] == [71, 80]


def test_learning_changes_every_network() -> None:
    agent = Agent(tiny.TASK, tiny.settings())
    before = tensors(agent)
    tiny.learn(agent, EXPERIENCE[:60])
    after = tensors(agent)
    for part in ('ensemble.network', 'actor.network', 'critic.network'):
        names = [name for name in before if name.startswith(part)]
        assert names
        assert all(not torch.equal(before[name], after[name]) for name in names)


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
    assert agent.update(stop=lambda: True)['model_epochs'] == 1


def test_a_first_training_on_next_to_nothing_is_no_disaster() -> None:
    fewest = LearningSettings.__dataclass_fields__['random_steps'].metadata['minimum']
    agent = Agent(tiny.TASK, tiny.settings(learning__random_steps=fewest))
    reports = tiny.learn(agent, EXPERIENCE[:30])
    assert all(math.isfinite(v) for report in reports for v in report.values())
    assert np.isfinite(agent.act(OBSERVATION).action).all()


def test_imagined_transitions_join_the_batches() -> None:
    """MBPO's share: the critics learn from the model's predictions too, and differ for it."""
    plain = tiny.trained(model_rollouts__fraction=0.0)
    branched = tiny.trained(model_rollouts__fraction=0.5)
    assert not same(tensors(plain), tensors(branched))
    assert all(torch.isfinite(value).all() for value in tensors(branched).values())
    batch = branched.learner._experience()[0]
    known = branched.learner.buffer.all().action
    from_buffer = [bool((known == action).all(dim=1).any()) for action in batch.action]
    assert from_buffer == [False] * 4 + [True] * 4


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
        row = episode.row(tiny.TASK)
        assert row['steps'] == 100
        assert row['return'] == pytest.approx(sum(episode.rewards))
        assert len(episode.observations) == 101
        return episode.rewards, planned

    (rewards, planned), (again, _) = run(), run()
    assert rewards == again
    assert planned == [False] * 40 + [True] * 60


def test_a_cost_that_no_classifier_learns_is_refused_before_it_is_stored() -> None:
    agent = Agent(tiny.TASK, tiny.settings().replace({'ensemble.cost_head': 'classifier'}))
    with pytest.raises(ValueError, match='a cost of 2.5 is neither 0 nor 1'):
        agent.observe(dataclasses.replace(EXPERIENCE[0], cost=2.5))
    assert agent.num_steps == 0 and len(agent.learner.buffer) == 0
