# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What else a search knew: other thresholds, other candidates, and the same plan once more."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import OBSERVATION, configured

from loop_ros.agent import Agent
from loop_ros.outlook import at_thresholds, outlook, thinned
from loop_ros.planning.search import Search
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


@pytest.fixture
def agent() -> Agent:
    return tiny.trained()


def test_under_the_present_threshold_it_is_the_plan_itself(agent: Agent) -> None:
    plan = agent.act(OBSERVATION)
    found = outlook(agent, [plan.d0])
    assert found is not None
    for futures in (found.plan, found.alternatives):
        np.testing.assert_allclose(futures.actions[0], plan.action, rtol=1e-6)
        np.testing.assert_allclose(futures.states[0], plan.states, atol=1e-5)
        assert futures.returns[0] == pytest.approx(plan.predicted_return, rel=1e-5)
        assert futures.costs[0] == pytest.approx(plan.worst_cost, abs=1e-6)
    assert found.safe_fractions[0] == pytest.approx(plan.safe_fraction)


def search_of(returns: list[float], costs: list[float], actions: list[float]) -> Search:
    """Sequences of one action each, [N, 1, 1]."""
    candidates = torch.tensor(actions).view(-1, 1, 1)
    scores = Scores(torch.tensor(returns), torch.tensor(costs), torch.zeros(len(returns)).bool())
    return Search(torch.zeros(1), torch.tensor([[0.5]]), candidates, scores, None)


def test_other_thresholds_weigh_the_same_candidates_on_hand_worked_numbers() -> None:
    """Eq. 8 over the safe ones: at 0 the first alone; at 1 the first two, the better e times."""
    search = search_of(returns=[0.0, 1.0, 5.0], costs=[0.0, 1.0, 9.0], actions=[-0.5, 0.5, 1.0])
    planner = PlannerSettings(algorithm='safe_arc', temperature=1.0, min_safe=1, mean_update=0.5)
    found = at_thresholds(search, [0.0, 1.0], planner).flatten().tolist()
    of_two = (-0.5 + 0.5 * math.e) / (1 + math.e)
    assert found == pytest.approx([0.5 * (0.5 - 0.5), 0.5 * (0.5 + of_two)])


def test_a_planner_that_does_not_heed_d0_says_so_and_plans_the_same(agent: Agent) -> None:
    configured(agent, algorithm='arc').act(OBSERVATION)
    found = outlook(agent, [0.0, 8.0])
    assert found is not None
    assert not found.heeded
    np.testing.assert_array_equal(found.alternatives.actions[0], found.alternatives.actions[1])


def test_costs_of_steps_add_up_where_one_particle_is_the_worst_throughout(agent: Agent) -> None:
    """Without noise and with one model there is one path: its steps' costs are the plan's."""
    agent = tiny.trained(ensemble__num_models=1, planner__propagate_noise=False)
    agent.act(OBSERVATION)
    found = outlook(agent, candidates=5)
    assert found is not None
    gamma = agent.settings.planner.discount ** np.arange(3)
    for futures in (found.plan, found.candidates):
        np.testing.assert_allclose(futures.step_costs @ gamma, futures.costs, atol=1e-5)
    assert len(found.candidates.returns) == 5


@given(st.integers(1, 30), st.integers(0, 40))
def test_thinned_candidates_are_spread_from_the_first_to_the_last(total: int, num: int) -> None:
    found = thinned(torch.arange(total).view(-1, 1, 1), num).flatten().tolist()
    assert len(found) == min(num, total)
    assert found == sorted(set(found))
    assert not found or found[0] == 0
    assert len(found) < 2 or found[-1] == total - 1


def test_looking_changes_no_later_plan() -> None:
    looked, other = tiny.trained(), tiny.trained()
    for _ in range(3):
        np.testing.assert_array_equal(looked.act(OBSERVATION).action, other.act(OBSERVATION).action)
        outlook(looked, [0.0, 1.0], candidates=4)


def test_there_is_none_where_nothing_was_compared(agent: Agent) -> None:
    untrained = Agent(tiny.TASK, tiny.settings())
    untrained.act(OBSERVATION)
    configured(agent, algorithm='actor').act(OBSERVATION)
    assert outlook(untrained, [1.0]) is None
    assert outlook(agent, [1.0]) is None


@pytest.mark.parametrize('d0', [-1.0, math.nan, math.inf])
def test_a_threshold_that_is_none_is_refused(agent: Agent, d0: float) -> None:
    agent.act(OBSERVATION)
    with pytest.raises(ValueError, match='each d0 is a finite number from 0'):
        outlook(agent, [0.0, d0])


@settings(max_examples=15, deadline=None)
@given(
    explore=st.booleans(),
    algorithm=st.sampled_from(['arc', 'safe_arc', 'cem', 'actor']),
    resample=st.booleans(),
    before=st.integers(0, 3),
)
def test_a_plan_is_made_again_from_its_memory(
    explore: bool, algorithm: str, resample: bool, before: int
) -> None:
    """Bit for bit, by another agent of the same weights, that has planned other things."""
    first = configured(
        copy.deepcopy(AGENT),
        algorithm=algorithm,
        resample_actor=resample,
        plan_exploration=0.5,
        time_budget=1e-9,
    )
    for _ in range(before):
        first.act(OBSERVATION, explore)
    plan = first.act(OBSERVATION, explore, predict_next=True)
    second = tiny.Agent(tiny.TASK, first.settings, seed=7)
    second.load_weights(first.weights())
    second.act(OBSERVATION)
    second.configure(dataclasses.replace(first.settings.planner, time_budget=0.0))
    assert plan.memory is not None
    second.planner.recall(plan.memory)
    again = second.act(OBSERVATION, explore, predict_next=True, most=plan.iterations)
    assert again.iterations == plan.iterations
    np.testing.assert_array_equal(again.action, plan.action)
    np.testing.assert_array_equal(again.sequence, plan.sequence)


AGENT = tiny.trained()
