# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots that plan together plan as each would alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny
from tiny import OBSERVATION, configured

from loop_ros.acting import Acting
from loop_ros.together import act_together
from loop_ros.types import Array, Plan

PLANS = ('sequence', 'states', 'runner_up', 'actor_action')
NUMBERS = ('predicted_return', 'worst_cost', 'safe_fraction', 'actor_share', 'disagreement')


def fleet(number: int, **changes: Any) -> list[Acting]:
    """Robots of one agent, each with a seed of its own."""
    agent = configured(tiny.trained(), **changes)
    return [agent.another(seed) for seed in range(number)]


def observations(number: int) -> list[Array]:
    """Near the one of the tests, each another one."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (number, len(OBSERVATION)))
    return list(OBSERVATION + noise)


def assert_same(ours: Plan, theirs: Plan) -> None:
    """But for the rounding of products of other sizes."""
    for name in PLANS:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-4)
    for name in NUMBERS:
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'algorithm': 'safe_cem', 'propagate_noise': False},
        {'algorithm': 'arc', 'terminal_value': 'v', 'resample_actor': False, 'plan_mixing': 0.4},
        {'num_particles': 3, 'horizon': 1},
        {'actor_fraction': 0.0, 'truncate_samples': True, 'sample_correlation': 0.5},
    ],
    ids=str,
)
def test_no_robot_changes_what_another_plans(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], threads: int
) -> None:
    """Three steps, so that each one's last plan and random numbers are its own too."""
    monkeypatch.setattr('loop_ros.planning.rollout.ROWS_PER_THREAD', 4)
    changes = {'rollout_threads': threads, **changes}
    together, alone = fleet(3, **changes), fleet(3, **changes)
    for _ in range(3):
        seen = observations(3)
        plans = act_together(together, seen, explore=True, predict_next=True)
        for plan, robot, observation in zip(plans, alone, seen, strict=True):
            assert_same(plan, robot.act(observation, explore=True, predict_next=True))


def test_one_robot_plans_the_same_to_the_last_bit() -> None:
    ((plan,), alone) = act_together(fleet(1), [OBSERVATION]), fleet(1)[0].act(OBSERVATION)
    for name in (*PLANS, *NUMBERS):
        np.testing.assert_array_equal(getattr(plan, name), getattr(alone, name))


def test_each_robot_keeps_its_own_threshold() -> None:
    """The cost of the tiny task is what d0 is compared with."""
    together, alone = fleet(2, algorithm='safe_arc'), fleet(2, algorithm='safe_arc')
    for robots in (together, alone):
        for robot, d0 in zip(robots, (0.0, 5.0), strict=True):
            robot.configure(dataclasses.replace(robot.settings.planner, d0=d0))
    plans = act_together(together, [OBSERVATION, OBSERVATION])
    for plan, robot in zip(plans, alone, strict=True):
        assert_same(plan, robot.act(OBSERVATION))
    assert [plan.d0 for plan in plans] == [0.0, 5.0]
    assert plans[0].safe_fraction < plans[1].safe_fraction


def test_robots_with_other_settings_do_not_plan_together() -> None:
    robots = fleet(2)
    robots[1].configure(dataclasses.replace(robots[1].settings.planner, horizon=4))
    with pytest.raises(ValueError, match='differ in settings'):
        act_together(robots, observations(2))


def test_a_robot_that_is_not_in_its_right_mind_is_named() -> None:
    seen = observations(2)
    seen[1][0] = np.nan
    with pytest.raises(ValueError, match='observation is not finite'):
        act_together(fleet(2), seen)


def test_robots_plan_together_while_the_actor_drives_others() -> None:
    robots, alone = fleet(4, actor_episodes=1.0), fleet(4)
    for number in (0, 2):
        robots[number].actor_drives = False
    plans = act_together(robots, observations(4), explore=True)
    assert [plan.iterations > 0 for plan in plans] == [True, False, True, False]
    for number in (0, 2):
        assert_same(plans[number], alone[number].act(observations(4)[number], explore=True))
