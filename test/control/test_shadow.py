# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan beside another controller's action: paired by the state, judged by the same models."""

from __future__ import annotations

import numpy as np
import pytest
from supervised import CAR, make_plan

from loop_ros.agent import Agent
from loop_ros.checkpoint.files import resolve
from loop_ros.control import shadow
from loop_ros.control.shadow import Difference, Shadow
from loop_ros.sim import registry
from loop_ros.types import Array


class Judge:
    """Likes the first action's speed, and fears its steering."""

    def score(self, observation: Array, sequences: Array) -> tuple[Array, Array]:
        return sequences[:, 0, 0], np.abs(sequences[:, 0, 1])


@pytest.fixture
def told() -> list[Difference]:
    return []


@pytest.fixture
def beside(told: list[Difference]) -> Shadow:
    return Shadow(CAR, told.append)


@pytest.mark.parametrize('order', ['plan first', 'other first'])
def test_answers_to_one_state_are_compared_once(
    beside: Shadow, told: list[Difference], order: str
) -> None:
    def plan() -> None:
        beside.keep_plan(7, np.zeros(6), make_plan(2.0, d0=0.1))
        beside.compare(Judge())

    def other() -> None:
        assert beside.observe(7, np.array([1.5, 0.25]))
        beside.compare(Judge())

    steps = [plan, other] if order == 'plan first' else [other, plan]
    for step in steps:
        assert not told
        step()
    beside.compare(Judge())
    (found,) = told
    assert (found.stamp, found.d0) == (7, 0.1)
    assert found.planned.tolist() == [2.0, 0.0]
    assert found.other.tolist() == [1.5, 0.25]
    assert (found.predicted_return, found.other_return) == (2.0, 1.5)
    assert (found.worst_cost, found.other_cost) == (0.0, 0.25)
    span = np.array(CAR.action_high) - np.array(CAR.action_low)
    assert found.distance == pytest.approx(np.hypot(*(2.0 * np.array([0.5, 0.25]) / span)))


def test_answers_to_different_states_are_not_compared(
    beside: Shadow, told: list[Difference]
) -> None:
    beside.keep_plan(7, np.zeros(6), make_plan(2.0))
    beside.observe(8, np.zeros(2))
    beside.compare(Judge())
    assert not told
    assert beside.metrics()['compared'] == 0


def test_a_repetition_is_not_a_new_action(beside: Shadow) -> None:
    assert beside.observe(7, np.zeros(2))
    assert not beside.observe(7, np.ones(2))
    assert beside.observe(8, np.ones(2))


def test_figures_are_means_over_states(beside: Shadow) -> None:
    for stamp, (speed, steering) in enumerate([(1.0, 0.0), (3.0, 0.5)]):
        beside.keep_plan(stamp, np.zeros(6), make_plan(2.0, d0=0.2))
        beside.observe(stamp, np.array([speed, steering]))
        beside.compare(Judge())
    found = list(beside.metrics().values())
    assert found[0] == 2
    assert found[2:] == [0.0, 0.0, 0.5]  # gains 1 and -1; only the other's steering breaks d0


def test_a_difference_on_the_wire_has_its_labels(beside: Shadow, told: list[Difference]) -> None:
    beside.keep_plan(2_000_000_000, np.zeros(6), make_plan(2.0, d0=0.3))
    beside.observe(2_000_000_000, np.array([1.5, 0.25]))
    beside.compare(Judge())
    fields, values = shadow.layout(CAR), shadow.values(told[0])
    assert sum(length for _, length in fields) == len(values)
    assert fields[:3] == (
        ('stamp', 1),
        ('planned:wheel_speed,steering', 2),
        ('other:wheel_speed,steering', 2),
    )
    assert values[:5].tolist() == [2.0, 2.0, 0.0, 1.5, 0.25]
    assert (fields[-1], values[-1]) == (('d0', 1), 0.3)


def test_an_agent_scores_as_it_plans_and_its_next_plan_is_as_before() -> None:
    """With no noise in the rollouts the plan's own sequence is worth what the plan said."""
    agents = [Agent.load(resolve('shipped', 'drift_car'), CAR) for _ in range(2)]
    observation, _ = registry.make('drift_car').reset(seed=3)
    for agent in agents:
        settings = agent.settings.replace({'planner.propagate_noise': False})
        agent.configure(settings.planner)
    first, second = agents
    plan = first.act(observation)
    slow = plan.sequence.copy()
    slow[0] = CAR.safe_command
    returns, costs = first.score(observation, np.stack((plan.sequence, slow)))
    assert returns[0] == pytest.approx(plan.predicted_return, abs=1e-3)
    assert costs[0] == pytest.approx(plan.worst_cost, abs=1e-3)
    assert returns[1] != returns[0]
    second.act(observation)
    np.testing.assert_array_equal(first.act(observation).sequence, second.act(observation).sequence)
