# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""States of any rate and with any stamps: one begins each control period."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop_ros.control.state_clock import SAME_RATE, Moment, StateClock

PERIOD = 35_000_000  # ns
WALL = 0.035  # s
PATIENCE = 500_000_000  # ns


class Robot:
    """States that arrive as they are stamped, numbered by what was taken."""

    def __init__(self) -> None:
        self.clock = StateClock(PERIOD, WALL, PATIENCE)
        self.taken: list[Moment] = []
        self.now = 100.0

    def state(self, stamp: float, now: float, changed: bool = True) -> None:
        """A state stamped and received at such times (s)."""
        self.now = now
        if self.clock.hear(round(stamp * 1e9), now):
            moment = self.clock.take(round(stamp * 1e9), now, changed)
            if moment is not None:
                self.taken.append(moment)

    def gaps(self) -> np.ndarray:
        """Control periods between what was taken."""
        return np.diff([moment.stamp for moment in self.taken]) / PERIOD

    @property
    def problem(self) -> str:
        return self.clock.problem(self.now)


@settings(max_examples=50)
@given(
    st.floats(28.0, 1000.0), st.floats(0.0, 0.4), st.floats(0.0, 0.02), st.integers(0, 2**32 - 1)
)
def test_fast_states_make_the_control_rate(
    rate: float, jitter: float, delay: float, seed: int
) -> None:
    """Whatever the rate, and whatever the jitter of stamps (shares of a gap) and of receipt (s)."""
    rng, robot = np.random.default_rng(seed), Robot()
    count = round(5.0 * rate)
    stamps = 5.0 + (np.arange(count) + jitter * rng.uniform(-0.5, 0.5, count)) / rate
    received = np.maximum.accumulate(stamps + delay * rng.uniform(0, 1, count))
    for stamp, now in zip(stamps.tolist(), received.tolist(), strict=True):
        robot.state(stamp, now)
    gaps = robot.gaps()
    # Of states a little faster than the control rate all are taken, or one now and then is not.
    is_near = rate * WALL < 1.25
    periods = len(robot.taken) / 5.0 * WALL
    assert (0.9 if is_near else 0.97) <= periods <= (1.03 / SAME_RATE if is_near else 1.03)
    assert gaps.min() > 0.2 and gaps.max() < max(1.9, (2.0 + jitter) / (rate * WALL))
    assert sum(moment.restart for moment in robot.taken) == 1
    assert robot.problem == ''
    assert robot.taken[-1].number == pytest.approx(len(robot.taken), rel=0.1 if is_near else 0.05)


def test_states_at_the_control_rate_are_all_taken() -> None:
    """Though their clock is 5% slower or faster than the task says."""
    for factor in (0.95, 1.0, 1.05):
        robot = Robot()
        for step in range(1000):
            robot.state(step * WALL * factor, step * WALL)
        assert len(robot.taken) == 1000
        assert robot.clock.skipped == 0


@pytest.mark.parametrize('rate', [3.0, 10.0])
def test_rare_states_are_all_taken_and_named(rate: float) -> None:
    """What was between them is counted, so that a plan can be shifted by it."""
    robot = Robot()
    for step in range(20):
        robot.state(step / rate, step / rate)
    assert len(robot.taken) == 20
    assert robot.taken[-1].number - robot.taken[0].number == pytest.approx(
        19 / rate / WALL, rel=0.06
    )
    assert not any(moment.restart for moment in robot.taken[1:])
    assert f'states come at {rate:g} Hz, the control rate is 28.6 Hz' in robot.problem


def test_states_rarer_than_the_patience_begin_anew() -> None:
    robot = Robot()
    for step in range(5):
        robot.state(2.0 * step, 2.0 * step)
    assert all(moment.restart for moment in robot.taken) and len(robot.taken) == 5


@pytest.mark.parametrize('stamp', [0.0, 1234.5])
@pytest.mark.parametrize('rate', [50, 200, 1000])
def test_stamps_that_stand_still_are_replaced_by_receipt(stamp: float, rate: int) -> None:
    robot = Robot()
    for step in range(5 * rate):
        robot.state(stamp, step / rate)
    assert len(robot.taken) == pytest.approx(5 / WALL, rel=0.03)
    assert sum(moment.restart for moment in robot.taken) == 1
    assert 'stamps of states stand still' in robot.problem
    assert 'header.stamp' in robot.problem


def test_stamps_that_move_again_count_again() -> None:
    robot = Robot()
    for step in range(100):
        robot.state(7.0, 0.01 * step)
    for step in range(100):
        robot.state(50.0 + 0.01 * step, 1.0 + 0.01 * step)
    assert robot.problem == ''
    assert robot.taken[-1].stamp == pytest.approx(50.99e9, abs=PERIOD)


def test_the_same_state_once_more_is_no_control_period() -> None:
    """As a simulation in lockstep repeats it while it waits."""
    robot = Robot()
    robot.state(1.0, 10.0)
    for repetition in range(5):
        robot.state(1.0, 10.2 + 0.2 * repetition, changed=False)
    robot.state(1.035, 11.3)
    assert [moment.stamp for moment in robot.taken] == [1_000_000_000, 1_035_000_000]
    assert robot.problem == ''


@pytest.mark.parametrize('jump', [-1000.0, -0.2, 0.6, 1e6])
def test_a_clock_that_jumps_begins_anew_and_goes_on(jump: float) -> None:
    """At once, and at the control rate: a clock that was set, or another episode."""
    robot = Robot()
    for step in range(400):
        now = 2000.0 + 0.01 * step
        robot.state(now + (jump if step >= 200 else 0.0), now)
    restarts = [moment.restart for moment in robot.taken]
    assert sum(restarts) == 2
    assert len(robot.taken) == pytest.approx(4 / WALL, rel=0.05)
    assert robot.clock.jumps == 1
    assert ('went back' in robot.problem) == (jump < 0)


def test_a_clock_of_another_speed_is_named() -> None:
    robot = Robot()
    for step in range(1000):
        robot.state(0.02 * step, 0.01 * step)
    assert 'the clock of the states runs at 2 times' in robot.problem
    slow = Robot()
    for step in range(1000):
        slow.state(0.01 * step, 0.01 * step)
    assert slow.problem == ''


def test_a_burst_is_taken_by_its_stamps() -> None:
    """Ten states at once, as after a stall of the network, are ten samples of 0.1 s."""
    robot = Robot()
    for burst in range(50):
        for each in range(10):
            robot.state(0.1 * burst + 0.01 * each, 0.1 * burst + 0.1)
    assert len(robot.taken) == pytest.approx(5 / WALL, rel=0.03)
