# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New weights are tried on the robot's steps, taken or refused, and given back where they fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from loop_ros.agent import Agent, Weights
from loop_ros.checkpoint.files import resolve
from loop_ros.control.trial import FEWEST, WeightsTrial
from loop_ros.sim import registry

CAR = registry.task('drift_car')
SHIPPED = resolve('shipped', 'drift_car')
STEPS = 30


def make_agent(seed: int = 0) -> Agent:
    return Agent.load(SHIPPED, CAR, seed=seed)


def weights(agent: Agent, version: int, shift: float = 0.0, column: int = 3) -> bytes:
    """Those of an agent, as another version; its models' states moved by a `shift` each step."""
    other = make_agent()
    other.put_back(agent.keep_weights())
    last = other.ensemble.network.layers[-1]
    with torch.no_grad():
        last.bias[..., column] += shift / other.ensemble.targets.std[column]
    other.version = version
    return other.weights()


def drive(trial: WeightsTrial, agent: Agent, steps: int) -> None:
    """The simulated car, with the agent's actor."""
    env = registry.make('drift_car')
    observation, _ = env.reset(seed=0)
    trial.reach(observation, restart=True)
    for _ in range(steps):
        action = agent.act_without_planning(observation)
        trial.did(action)
        observation, *_ = env.step(action)
        trial.reach(observation, restart=False)


def assert_same(ours: Weights, theirs: Weights) -> None:
    assert ours.version == theirs.version
    torch.testing.assert_close(ours.tensors, theirs.tensors, rtol=0, atol=0)


@pytest.fixture
def agent() -> Agent:
    return make_agent()


def trial_of(agent: Agent, steps: int = STEPS) -> WeightsTrial:
    """A trial that has seen the car drive."""
    trial = WeightsTrial(steps, tolerance=2.0, period=CAR.control_period)
    drive(trial, agent, STEPS)
    return trial


def test_weights_that_foretell_as_well_are_taken(agent: Agent) -> None:
    assert trial_of(agent).take(agent, weights(agent, 2), plan_s=1e9) == agent.version == 2


def test_weights_that_foretell_worse_are_refused_and_nothing_has_changed(agent: Agent) -> None:
    before, plan = agent.keep_weights(), agent.act(np.array([1.0, 0.0, 1.6, 2.0, 0.1, 2.0]))
    agent.reset()
    trial = trial_of(agent)
    with pytest.raises(ValueError, match='version 2 on the last 30 steps: error in predicted stat'):
        trial.take(agent, weights(agent, 2, shift=1.0), plan_s=1e9)
    assert_same(agent.keep_weights(), before)
    agent._plan_generator.manual_seed(0)  # as at the start
    again = agent.act(np.array([1.0, 0.0, 1.6, 2.0, 0.1, 2.0]))
    np.testing.assert_array_equal(again.sequence, plan.sequence)


def test_weights_with_a_wrong_cost_are_refused(agent: Agent) -> None:
    """They put the car 0.3 m further out, where it costs; as states, that is borne here."""
    trial = WeightsTrial(STEPS, tolerance=1000.0, period=CAR.control_period)
    drive(trial, agent, STEPS)
    with pytest.raises(ValueError, match='error in predicted costs .*, with the old ones 0$'):
        trial.take(agent, weights(agent, 2, shift=0.3, column=0), plan_s=1e9)


def test_untried_where_there_is_nothing_to_try_them_on(agent: Agent) -> None:
    bad = weights(agent, 2, shift=1.0)
    early = WeightsTrial(STEPS, 2.0, 1.0)
    drive(early, agent, FEWEST - 1)
    assert early.take(agent, bad, plan_s=1e9) == 2
    assert trial_of(agent, steps=0).take(agent, weights(agent, 3, shift=1.0), plan_s=1e9) == 3


def test_an_untrained_agent_takes_what_it_gets() -> None:
    trained = make_agent()
    agent = Agent(CAR, trained.settings)
    assert trial_of(trained).take(agent, weights(trained, 5, shift=1.0), plan_s=1e9) == 5


def test_weights_that_fail_the_next_steps_are_given_back(agent: Agent) -> None:
    """Nobody had seen these steps: the old ones foretell them, the new ones do not."""
    old, trial = agent.keep_weights(), WeightsTrial(STEPS, 2.0, CAR.control_period)
    assert trial.take(agent, weights(agent, 2, shift=1.0), plan_s=1e9) == 2  # too early to try
    drive(trial, agent, STEPS - 1)
    assert trial.review(agent) == ''
    assert agent.version == 2
    drive(trial, agent, 1)
    assert 'version 2 on its first 30 steps: error in predicted states' in trial.review(agent)
    assert_same(agent.keep_weights(), old)
    assert trial.review(agent) == ''  # once


def test_weights_that_pass_the_next_steps_stay(agent: Agent) -> None:
    trial = trial_of(agent)
    trial.take(agent, weights(agent, 2), plan_s=1e9)
    drive(trial, agent, STEPS)
    assert trial.review(agent) == ''
    assert agent.version == 2


def test_a_slow_plan_is_refused(agent: Agent) -> None:
    """Slower than three times the plans before, and than the control period."""
    trial, version = WeightsTrial(STEPS, 2.0, period=1e-9), agent.version
    drive(trial, agent, STEPS)
    with pytest.raises(ValueError, match=r'a plan takes .* s, before 1e-09 s'):
        trial.take(agent, weights(agent, 2), plan_s=1e-9)
    assert agent.version == version


def test_a_step_before_a_restart_is_no_step(agent: Agent) -> None:
    trial = WeightsTrial(STEPS, 2.0, 1.0)
    trial.reach(np.zeros(6), restart=True)
    trial.reach(np.ones(6), restart=False)  # nothing was done there
    trial.did(np.zeros(2))
    trial.reach(np.zeros(6), restart=True)
    assert trial._memory() == ([], 0)
