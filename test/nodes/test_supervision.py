# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stops the robot and what lets it go on, in the planner node as a process."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from ears import Ears
from lifecycle_msgs.srv import ChangeState
from planner_robot import CAR, OBSERVATION, PERIOD, Robot, module_planner, start
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from stack import Process, until

from loop_ros.agent import Agent
from loop_ros.control.supervisor import HOLD, PLAN, SHIFTED, STOP
from loop_ros.nodes import conversions, qos

pytestmark = pytest.mark.slow
RATES = np.array([4.0, 0.5])  # m/s^2, rad/s


lockstep = module_planner(state_timeout=0.3)


def said(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def commands_for(robot: Robot, stamp: int) -> list[np.ndarray]:
    found = [m for m in list(robot.commands) if conversions.time_from_msg(m.header.stamp) == stamp]
    return [conversions.command_from_msg(message, CAR) for message in found]


def test_an_operator_stop_comes_at_once_and_holds_until_reset(
    lockstep: tuple[Process, Robot],
) -> None:
    _, robot = lockstep
    assert robot.drive()['level'] == PLAN
    robot.telemetry.clear()
    assert robot.trigger('stop') == 'stopped until ~/reset'
    until(lambda: STOP in robot.levels(), 5, 'a stop that no state asks for')
    for _ in range(4):
        assert robot.drive()['level'] == STOP
        np.testing.assert_array_equal(commands_for(robot, robot.stamp), [CAR.safe_command])
    until(lambda: said(robot.supervisor[-1])['reason'] == 'operator stop', 5, 'the reason')
    late = Ears('late')
    heard = late.hear(DiagnosticStatus, 'planner/supervisor', qos.STATUS)
    until(lambda: heard, 10, 'the last word for who comes later')
    late.close()
    assert heard[0].name == '/planner: supervisor' and heard[0].level == b'\x02'
    assert said(heard[0]) == {'level': '4', 'reason': 'operator stop', 'latched': 'true'}
    assert robot.status()['message'] == 'stop: operator stop'
    assert robot.trigger('reset') == 'released: operator stop'
    assert robot.trigger('reset') == 'nothing was latched'
    assert robot.drive()['level'] == PLAN
    until(lambda: said(robot.supervisor[-1])['reason'] == 'planning', 5, 'the reason')


def test_a_stop_outlives_a_change_of_state(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep

    def change(transition: int) -> None:
        request = ChangeState.Request()
        request.transition.id = transition
        assert robot.call(ChangeState, '/planner/change_state', request, 20.0).success

    robot.drive()
    change(4)
    robot.trigger('stop')
    change(3)
    until(lambda: robot.state.get_subscription_count(), 10, 'the planner listens')
    assert robot.drive()['level'] == STOP
    robot.trigger('reset')
    assert robot.drive()['level'] == PLAN


def test_states_that_are_not_finite_are_as_good_as_none(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep
    robot.drive()
    robot.telemetry.clear()
    spoilt = OBSERVATION.copy()
    spoilt[4] = math.nan

    def stopped() -> bool:
        robot.send(spoilt)
        time.sleep(0.02)
        return STOP in robot.levels()

    until(stopped, 5, 'the stop')
    until(lambda: 'nan' in robot.supervisor[-1].message, 5, 'the reason')
    reason = "stop: no usable state for 0.3 s: odometry 'v_y' is nan"
    assert robot.supervisor[-1].message == reason
    assert set(robot.levels()) == {STOP}
    assert robot.drive()['level'] == PLAN  # recovered by itself


def test_weights_that_are_not_finite_stop_the_robot_until_reset(
    lockstep: tuple[Process, Robot], checkpoint: Path
) -> None:
    process, robot = lockstep
    robot.drive()
    agent = Agent.load(checkpoint, CAR, seed=1)
    agent.version = 9
    good = agent.weights()
    next(agent.actor.parameters()).data.view(-1)[0] = math.nan
    robot.weights.publish(conversions.weights_to_msg(agent.weights()))
    process.wait_for('is not finite')
    assert robot.drive()['level'] == STOP
    robot.weights.publish(conversions.weights_to_msg(good))
    until(lambda: robot.status()['weights version'] == '9', 5, 'the new weights')
    assert robot.drive()['level'] == STOP
    assert robot.status()['reason'] == 'weights are not finite'
    assert robot.trigger('reset') == 'released: weights are not finite'
    assert robot.drive()['level'] == PLAN


def test_in_real_time_lost_states_go_down_the_ladder_at_the_rate_limits(
    ros_domain: int, checkpoint: Path, tmp_path: Path
) -> None:
    process, robot = start(
        checkpoint,
        tmp_path / 'log',
        step_mode='realtime',
        speed=0.5,
        state_timeout=1.5,
        hold_time=0.2,
        rate_limits=json.dumps(RATES.tolist()),
    )
    try:
        commands = robot.hear(JointState, 'command', QoSProfile(depth=1000))

        def driven() -> bool:
            robot.send()
            time.sleep(0.07)
            return robot.levels().count(PLAN) > 20

        until(driven, 20, 'plans in time')
        robot.telemetry.clear()
        until(lambda: STOP in robot.levels(), 10, 'the stop')
        below = [level for level in robot.levels() if level != PLAN]
        assert below == sorted(below) and {SHIFTED, HOLD, STOP} <= set(below)
        sent = np.array([conversions.command_from_msg(m, CAR) for m in list(commands)])
        steps = np.abs(np.diff(sent, axis=0)).max(axis=0)
        assert (steps <= RATES * PERIOD / 1e9 + 1e-9).all() and steps.max() > 0

        def recovered() -> bool:
            robot.telemetry.clear()
            driven()
            return PLAN in robot.levels()

        until(recovered, 10, 'a plan')
    finally:
        robot.close()
        process.kill()
