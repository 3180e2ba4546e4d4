# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ~/explain says of a command."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from supervised import CAR, make_plan

from loop_ros.control.explanation import explain
from loop_ros.control.supervisor import HOLD, PLAN, Command
from loop_ros.settings import PlannerSettings

SETTINGS = PlannerSettings(algorithm='safe_arc', num_samples=100, min_safe=10)


def said(action: tuple[float, float] = (2.0, 0.0), **changes: Any) -> str:
    """Of a plan whose first action is (2, 0)."""
    plan = dataclasses.replace(make_plan(2.0, actor=1.5), **changes)
    return explain(Command(PLAN, np.array(action), 'planning', plan), SETTINGS, CAR)


def test_a_plan_is_explained_by_what_it_was_chosen_from() -> None:
    text = said(
        predicted_return=-2.25,
        disagreement=0.1,
        runner_up=np.array([3.0, -0.5]),
        runner_up_return=-3.5,
        actor_share=0.25,
    )
    assert text.splitlines() == [
        'level 0, plan: planning',
        'executed: wheel_speed 2, steering 0, the start of the weighted mean of the best '
        'sequences; predicted return -2.25, the models differ by 0.1; worst cost 0',
        'runner-up, the best that begins differently: wheel_speed 3, steering -0.5; return -3.5, '
        'worst cost 0',
        'binding: nothing',
        "weight: 25% on the actor's sequences, 75% on the planner's; the actor's own: "
        'wheel_speed 1.5, steering 0',
    ]


def test_a_runner_up_may_be_better_alone() -> None:
    """The plan is a mean; that a single candidate scored higher needs a word."""
    runner_up = {'runner_up': np.array([3.0, -0.5]), 'predicted_return': -2.25}
    assert 'no single sequence is executed' in said(**runner_up, runner_up_return=-2.0)
    assert 'no single sequence' not in said(**runner_up, runner_up_return=-2.5)


def test_the_constraint_that_binds_is_named() -> None:
    assert '40% of the sequences keep d0 = 0.2, the others were left out' in said(safe_fraction=0.4)
    assert 'too few: the least cost was sought' in said(safe_fraction=0.05)
    assert 'limits (planned was wheel_speed 2, steering 0)' in said(action=(1.0, 0.0))
    fastest = CAR.action_high[0]
    assert 'wheel_speed is at its limit' in said(action=(fastest, 0.0))


def test_without_a_comparison_it_says_so() -> None:
    assert said(iterations=0).endswith('compared: random, for there are no weights so far')
    held = Command(HOLD, np.zeros(2), 'no plan yet, and there is no other', None)
    assert explain(held, SETTINGS, CAR).endswith('there is no plan behind it')
