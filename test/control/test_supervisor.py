# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ladder of commands: which level answers, why, and when it recovers."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from supervised import (
    CAR,
    HIGH,
    LIMITS,
    LOW,
    PERIOD,
    RATES,
    WALL,
    driven,
    limits,
    make_plan,
    supervisor,
)

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.control.supervisor import (
    ACTOR,
    HOLD,
    PLAN,
    PROBATION,
    SHIFTED,
    STOP,
    Supervisor,
)
from loop_ros.sim import registry


def test_the_supervisor_needs_neither_torch_nor_ros() -> None:
    code = (
        'import sys, loop_ros.control.supervisor\n'
        'assert not {"torch", "rclpy", "gymnasium"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_the_ladder_steps_down() -> None:
    found = supervisor()
    assert found.command(0.0, 0)[:1] == (HOLD,)
    found.keep_actor(0, np.array([5.0, 0.5]))
    level, action, reason, *_ = found.command(0.0, 0)
    assert (level, action[0], reason) == (ACTOR, 5.0, 'no plan yet')
    assert found.command(WALL, PERIOD).level == HOLD  # the actor's answer was for another state
    found.keep_plan(0, make_plan(1.0))
    level, action, reason, plan, chosen = found.command(0.0, 0)
    assert (level, action[0], reason, chosen) == (PLAN, 1.0, 'planning', 0) and plan is not None
    for row in (1, 2):
        level, action, reason, plan, chosen = found.command(row * WALL, row * PERIOD)
        assert (level, action[0], reason) == (SHIFTED, 1.0 + row, 'the plan is late')
        assert chosen == row
        assert plan is not None
    assert found.command(3 * WALL, 3 * PERIOD).level == HOLD  # beyond the horizon
    assert found.command(0.0, -PERIOD).level == HOLD  # time ran backwards
    found.restart()
    assert found.command(0.0, 0).level == HOLD


def test_a_plan_that_is_not_finite_is_passed_over() -> None:
    found = supervisor()
    found.keep_plan(0, make_plan(1.0))
    spoilt = make_plan(2.0, actor=7.0)
    spoilt.sequence[0, 1] = np.nan
    found.keep_plan(PERIOD, spoilt)
    level, action, reason, *_ = found.command(WALL, PERIOD)
    assert (level, action[0], reason) == (SHIFTED, 2.0, 'the plan is not finite')
    found.restart()
    found.keep_plan(2 * PERIOD, spoilt)
    assert found.command(2 * WALL, 2 * PERIOD)[:1] == (ACTOR,)
    found.keep_plan(3 * PERIOD, make_plan(3.0))
    assert found.command(3 * WALL, 3 * PERIOD).level == PLAN


@pytest.mark.parametrize(
    'actor', [np.zeros(3), np.zeros(0), np.array([np.inf, 0.0]), np.array(1.0)]
)
def test_what_is_no_action_of_this_robot_is_passed_over(actor: np.ndarray) -> None:
    found = supervisor()
    found.keep_actor(0, actor)
    assert found.command(0.0, 0).level == HOLD


def test_limits_and_rate_limits() -> None:
    found = supervisor(rates=RATES)
    found.keep_plan(0, make_plan(50.0))
    first = found.command(0.0, 0).action
    np.testing.assert_allclose(first, RATES * WALL * [1, 0])  # from standing still
    found.keep_plan(PERIOD, make_plan(50.0))
    np.testing.assert_allclose(found.command(WALL, PERIOD).action[0], 2 * RATES[0] * WALL)
    # Two clocks that stand still, or the robot's alone: what has not passed cannot be used twice.
    assert found.command(WALL, PERIOD).action[0] == pytest.approx(2 * RATES[0] * WALL)
    found.latch('operator stop')
    assert found.command(1.5 * WALL, PERIOD).action[0] == pytest.approx(1.5 * RATES[0] * WALL)
    assert found.command(9 * WALL, -(10**12)).action[0] == pytest.approx(0.5 * RATES[0] * WALL)
    free = supervisor()
    free.keep_plan(0, make_plan(50.0))
    assert free.command(0.0, 0).action[0] == HIGH[0]


def test_hold_goes_straight_to_the_safe_command() -> None:
    found = supervisor(hold_time=4 * WALL)
    found.keep_plan(0, make_plan(8.0, horizon=1))
    found.command(0.0, 0)
    held = [found.command(k * WALL, k * PERIOD).action[0] for k in range(1, 8)]
    np.testing.assert_allclose(held, [8, 6, 4, 2, 0, 0, 0])


def test_silence_stops_and_says_why() -> None:
    found = supervisor(realtime=False)
    found.receive(1.0)
    found.keep_plan(0, make_plan(1.0))
    found.command(1.0, 0)
    assert not found.due(1.0 + LIMITS.state_timeout)
    late = 1.01 + LIMITS.state_timeout
    assert found.due(late)
    found.refuse_state("odometry 'v_y' is nan")
    level, action, reason, *_ = found.command(late, 0, unsolicited=True)
    assert (level, action.tolist()) == (STOP, [0.0, 0.0])
    assert reason == "no usable state for 0.5 s: odometry 'v_y' is nan"
    found.receive(3.0)
    assert not found.due(3.0)
    found.keep_plan(9 * PERIOD, make_plan(1.0))
    assert found.command(3.0, 9 * PERIOD).level == PLAN  # recovered by itself


def test_in_real_time_a_missing_state_is_answered_by_the_shifted_plan() -> None:
    found = supervisor(realtime=True)
    assert not found.due(5 * WALL)  # no state so far: nothing to go on with
    found.receive(0.0)
    found.keep_plan(0, make_plan(1.0))
    found.command(0.0, 0)
    assert not found.due(1.2 * WALL)
    assert found.due(1.5 * WALL)
    assert found.command(1.5 * WALL, PERIOD, unsolicited=True)[0] == SHIFTED
    assert not found.due(2.0 * WALL)
    assert found.due(2.5 * WALL)  # from now on one a period


def test_latches_hold_until_reset() -> None:
    found = supervisor()
    found.latch('operator stop')
    found.latch('weights are not finite')
    found.latch('operator stop')
    for step in range(3):
        found.restart()
        found.receive(step * WALL)
        found.keep_plan(step * PERIOD, make_plan(1.0))
        command = found.command(step * WALL, step * PERIOD)
        assert command[2] == 'operator stop; weights are not finite'
        assert command.level == STOP
    found.begin(9 * WALL)  # deactivated and activated
    assert found.latched
    assert found.reset() == ['operator stop', 'weights are not finite']
    assert not found.latched and found.reset() == []
    found.keep_plan(9 * PERIOD, make_plan(1.0))
    assert found.command(9 * WALL, 9 * PERIOD).level == PLAN


def test_no_safe_sequence_for_long_holds_until_there_is_one() -> None:
    unsafe = make_plan(1.0, worst_cost=3.0, safe_fraction=0.0)
    found = supervisor(unsafe_steps=3)
    assert driven(found, [unsafe] * 4) == [PLAN, PLAN, HOLD, HOLD]
    assert driven(found, [make_plan(1.0)], 4) == [PLAN]
    some = make_plan(1.0, worst_cost=3.0, safe_fraction=0.01)
    assert driven(found, [unsafe, unsafe, some, unsafe], 5) == [PLAN] * 4
    free = make_plan(1.0, worst_cost=3.0, safe_fraction=0.0, constrained=False)
    assert driven(supervisor(unsafe_steps=3), [free] * 5) == [PLAN] * 5
    assert driven(supervisor(unsafe_steps=0), [unsafe] * 50) == [PLAN] * 50
    unknown = make_plan(1.0, worst_cost=np.nan, safe_fraction=np.nan)
    assert driven(supervisor(unsafe_steps=2), [unknown] * 3)[-1] == HOLD


class TestDistrust:
    right = make_plan(1.0, actor=7.0)  # predicts the state that the next one starts from
    wrong = make_plan(1.0, actor=7.0, next_state=5.0)

    def test_the_actor_takes_over_and_the_model_gets_another_chance(self) -> None:
        found = supervisor(distrust_steps=3)
        # The first plan has nothing behind it that could have been wrong.
        assert driven(found, [self.wrong] * 4) == [PLAN] * 3 + [ACTOR]
        assert 'distrusted: 3 states' in found.command(0.0, 0).reason
        assert driven(found, [self.wrong] * (PROBATION - 1), 4) == [ACTOR] * (PROBATION - 1)
        # On probation: one step outside, and it is over.
        assert driven(found, [self.wrong] * 2, PROBATION + 3) == [PLAN, ACTOR]
        assert driven(found, [self.right] * PROBATION, 2 * PROBATION) == (
            [ACTOR] * (PROBATION - 1) + [PLAN]
        )
        step = 3 * PROBATION
        assert driven(found, [self.right, *[self.wrong] * 3], step) == [PLAN] * 4

    def test_a_few_wrong_steps_are_borne(self) -> None:
        found = supervisor(distrust_steps=3)
        order = [self.wrong, self.wrong, self.right] * 5
        assert driven(found, order) == [PLAN] * 15

    def test_only_what_was_foretold_and_done_counts(self) -> None:
        unsure = make_plan(1.0, next_state=5.0, next_std=np.nan)
        wide = make_plan(1.0, next_state=5.0, next_std=2.0)
        for plan in (unsure, wide):
            assert set(driven(supervisor(distrust_steps=1), [plan] * 9)) == {PLAN}
        clipped = make_plan(1e3, next_state=5.0)  # another action than that was done
        assert set(driven(supervisor(distrust_steps=1), [clipped] * 9)) == {PLAN}
        assert set(driven(supervisor(distrust_steps=0), [self.wrong] * 9)) == {PLAN}


@pytest.mark.slow
@pytest.mark.parametrize(('mass', 'trusted'), [(1.0, True), (1.5, False)])
def test_the_shipped_model_is_distrusted_on_a_heavier_car(mass: float, trusted: bool) -> None:
    """A real model at its word: 60 steps on the car it was trained on, and on one of mass 1.5 m."""
    folder = checkpoint.resolve('shipped', 'drift_car')
    assert folder is not None
    agent = Agent.load(folder, CAR)
    car: Any = registry.make('drift_car').unwrapped
    car.car = dataclasses.replace(car.car, mass=mass * car.car.mass)
    found, levels = supervisor(), []
    observation, _ = car.reset(seed=7)
    for step in range(60):
        found.receive(step * WALL)
        found.keep_plan(step * PERIOD, agent.act(observation, predict_next=True))
        command = found.command(step * WALL, step * PERIOD)
        levels.append(command.level)
        observation = car.step(command.action)[0]
    assert set(levels) == ({PLAN} if trusted else {PLAN, ACTOR})


def test_the_last_word_is_the_safe_command() -> None:
    found = Supervisor(limits(rates=RATES, safe=np.array([1.0, 0.0])), realtime=True)
    found.keep_plan(0, make_plan(9.0))
    found.command(0.0, 0)
    level, action, reason, *_ = found.shutdown_command()
    assert (level, action.tolist(), reason) == (STOP, [1.0, 0.0], 'the planner leaves')
    assert (action >= LOW).all()
