# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner node in real time, where plans may be late."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from planner_robot import CAR, OBSERVATION, Robot, start
from stack import Process, node_command, until

from loop_ros.nodes import conversions

pytestmark = pytest.mark.slow


def test_realtime_holds_the_period(ros_domain: int, checkpoint: Path, tmp_path: Path) -> None:
    process, robot = start(
        checkpoint, tmp_path / 'log', step_mode='realtime', state_timeout=1.0, speed=0.5
    )
    try:
        for _ in range(40):
            robot.send()
            time.sleep(0.07)
        found = [conversions.telemetry_from_msg(m) for m in robot.telemetry]
        answered = [t['stamp'] for t in found]
        assert len(answered) == len(set(answered))  # one command for each state
        levels = [t['level'] for t in found]
        assert levels.count(0) >= len(levels) / 2  # also where the machine is busy
        assert process.interrupt() == 0
    finally:
        robot.close()
        process.kill()


def test_realtime_falls_back_when_plans_are_late(
    ros_domain: int, checkpoint: Path, tmp_path: Path
) -> None:
    command = node_command(
        'planner',
        checkpoint=checkpoint,
        step_mode='realtime',
        num_samples=60_000,  # a single iteration takes longer than the period
    )
    process, robot = Process(command, tmp_path / 'log'), Robot()
    try:
        process.wait_for('weights version 1', 60)
        until(lambda: robot.state.get_subscription_count(), 10, 'the planner listens')
        end = time.monotonic() + 20
        levels: set[float] = set()
        while not {1.0, 2.0} & levels and time.monotonic() < end:
            robot.send()
            time.sleep(0.035)
            levels = {conversions.telemetry_from_msg(m)['level'] for m in list(robot.telemetry)}
        assert {1.0, 2.0} & levels, levels
        until(lambda: int(robot.status()['missed periods']) > 0, 5, 'a count of them')
    finally:
        robot.close()
        process.kill()


def test_realtime_runs_the_iterations_that_the_period_allows(
    ros_domain: int, checkpoint: Path, tmp_path: Path
) -> None:
    """A hundred would take several periods; a smaller budget means fewer, and is told as such."""
    process, robot = start(
        checkpoint, tmp_path / 'log', step_mode='realtime', speed=0.5, num_iterations=100
    )

    def iterations() -> list[float]:
        robot.telemetry.clear()
        for _ in range(15):
            robot.send()
            time.sleep(0.07)
        found = [conversions.telemetry_from_msg(m) for m in robot.telemetry]
        return [t['iterations'] for t in found if t['level'] == 0]

    try:
        in_a_period = iterations()
        assert in_a_period and max(in_a_period) < 100
        assert robot.set('time_budget', 0.001) == (True, '')
        robot.send()
        in_a_millisecond = iterations()
        assert max(in_a_millisecond) < np.median(in_a_period)
    finally:
        robot.close()
        process.kill()


@pytest.mark.parametrize(
    ('mode', 'rate', 'stamped'),
    [('lockstep', 200, True), ('realtime', 100, False)],
)
def test_odometry_of_any_rate_is_answered_once_a_period(
    ros_domain: int, checkpoint: Path, tmp_path: Path, mode: str, rate: int, stamped: bool
) -> None:
    """As an EKF sends it, of a moving car, by its own clock or without a stamp."""
    process, robot = start(checkpoint, tmp_path / 'log', step_mode=mode)
    begin, seconds = time.monotonic(), 3.0
    try:
        for step in range(round(seconds * rate)):
            observation = OBSERVATION + 0.001 * step
            stamp = round((50.0 + step / rate) * 1e9) if stamped else 0
            robot.state.publish(conversions.odometry_to_msg(observation, CAR, stamp))
            time.sleep(max(0.0, begin + (step + 1) / rate - time.monotonic()))
        levels, status = robot.levels(), robot.status()
        # One a period, and fewer only where a busy machine takes longer for its plans.
        assert 0.2 < len(levels) * CAR.control_period / seconds < 1.2
        assert levels.count(0) >= 0.3 * len(levels)
        assert ('stamps of states stand still' in status['message']) == (not stamped)
        # A busy machine does not take every state.
        assert 0.3 < float(status['state rate (Hz)']) / rate < 1.25
        assert process.interrupt() == 0
    finally:
        robot.close()
        process.kill()
