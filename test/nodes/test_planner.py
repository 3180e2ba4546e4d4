# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner node, as a process, against a robot made of this test."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
import pytest
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.msg import Path as PlanPath
from planner_robot import CAR, FAST, OBSERVATION, PERIOD, Robot, module_planner, running
from sensor_msgs.msg import JointState
from stack import Process, node_command, until
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from loop_ros.agent import Agent
from loop_ros.control.supervisor import STOP
from loop_ros.nodes import conversions, qos

pytestmark = pytest.mark.slow
lockstep = module_planner(state_timeout=0.3, d0=1)


def test_one_command_per_state(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep
    for _ in range(5):
        telemetry = robot.drive()
        assert telemetry['level'] == 0 and telemetry['d0'] == 1.0 and telemetry['plan_s'] > 0
        assert telemetry['iterations'] == FAST['num_iterations']
    command = next(
        m for m in robot.commands if conversions.time_from_msg(m.header.stamp) == robot.stamp
    )
    action = conversions.command_from_msg(command, CAR)
    assert (np.array(CAR.action_low) <= action).all() and (action <= CAR.action_high).all()


def test_a_repeated_state_gets_the_same_command(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep
    robot.drive()
    robot.stamp -= PERIOD
    robot.send()

    def answers() -> list[JointState]:
        return [
            m
            for m in list(robot.commands)
            if conversions.time_from_msg(m.header.stamp) == robot.stamp
        ]

    until(lambda: len(answers()) == 2, 5, 'the repeated answer')
    one, two = (conversions.command_from_msg(m, CAR) for m in answers())
    np.testing.assert_array_equal(one, two)


def test_d0_takes_effect_with_the_next_plan(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep
    robot.drive()
    for value in (0.75, 2, 0.2):
        assert robot.set('d0', value) == (True, '')
        assert robot.drive()['d0'] == value


@pytest.mark.parametrize('value', [math.nan, -0.5, 1e9, -1])
def test_bad_d0_is_refused_with_a_reason(lockstep: tuple[Process, Robot], value: float) -> None:
    _, robot = lockstep
    before = robot.drive()['d0']
    accepted, reason = robot.set('d0', value)
    assert not accepted
    assert 'd0' in reason and 'Min: 0.0' in reason and str(float(value)) in reason
    assert robot.drive()['d0'] == before


def test_silence_gives_the_safe_command_and_recovers(lockstep: tuple[Process, Robot]) -> None:
    process, robot = lockstep
    robot.drive()
    robot.telemetry.clear()
    until(lambda: len(robot.telemetry) > 3, 5, 'safe commands')
    assert robot.levels()[-1] == STOP
    np.testing.assert_array_equal(
        conversions.command_from_msg(robot.commands[-1], CAR), CAR.safe_command
    )
    status = robot.status()
    assert status['ros'] == b'\x02'
    assert status['message'] == 'stop: no usable state for 0.3 s'
    assert status['name'] == '/planner: planning'
    process.wait_for('no usable state on /odom for 0.3 s: safe command')
    assert robot.drive()['level'] == 0  # recovered by itself


def test_between_episodes_no_states_are_missed(
    ros_domain: int, checkpoint: Path, tmp_path: Path
) -> None:
    with running(checkpoint, tmp_path / 'log', state_timeout=0.3) as (process, robot):
        paused = robot.create_publisher(Bool, 'paused', qos.STATUS)
        paused.publish(Bool(data=True))
        until(lambda: robot.status()['message'] == 'between episodes', 10, 'the pause')
        robot.drive()
        robot.telemetry.clear()
        until(lambda: len(robot.telemetry) > 3, 5, 'safe commands')
        assert robot.levels()[-1] == STOP  # all the same
        assert robot.status()['ros'] == b'\x00'
        assert 'no usable state' not in process.output
        paused.publish(Bool(data=False))
        process.wait_for('no usable state on /odom for 0.3 s')


def test_unusable_states_are_dropped_and_named(lockstep: tuple[Process, Robot]) -> None:
    process, robot = lockstep
    robot.drive()
    spoilt = OBSERVATION.copy()
    spoilt[4] = math.nan
    robot.send(spoilt)
    process.wait_for("dropped (1 so far): odometry 'v_y' is nan")
    for _ in range(5):
        robot.send(child_frame_id='map')
        time.sleep(0.05)
    assert int(robot.status()['dropped states']) >= 3
    assert process.output.count('so far') <= 2  # throttled
    assert robot.drive()['level'] == 0


def test_weights_are_swapped_between_plans(
    lockstep: tuple[Process, Robot], checkpoint: Path
) -> None:
    process, robot = lockstep
    robot.drive()
    agent = Agent.load(checkpoint, CAR, seed=1)
    agent.version = 9
    good = agent.weights()
    rng = np.random.default_rng(0)
    for broken in (b'', good[: len(good) // 2], b'x' + good, rng.bytes(1000)):
        robot.weights.publish(conversions.weights_to_msg(broken))
    process.wait_for('weights refused, version 1 stays')
    assert robot.drive()['level'] == 0
    assert robot.status()['weights version'] == '1'
    robot.weights.publish(conversions.weights_to_msg(good))
    until(lambda: robot.status()['weights version'] == '9', 5, 'the new weights')
    assert robot.drive()['level'] == 0


def test_the_plan_is_drawn_for_whoever_looks(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep
    paths = robot.hear(PlanPath, 'plan', qos.VIEW)
    markers = robot.hear(MarkerArray, 'plan_markers', qos.VIEW)

    def drawn() -> bool:
        robot.drive()
        return bool(paths and paths[-1].poses and markers)  # the last one may be of a hold

    until(drawn, 10, 'a picture')
    assert len(paths[-1].poses) == 9 and paths[-1].header.frame_id == 'odom'


def test_lifecycle_by_hand(ros_domain: int, checkpoint: Path, tmp_path: Path) -> None:
    process = Process(
        node_command('planner', checkpoint=checkpoint, autostart=False, **FAST), tmp_path / 'log'
    )
    robot = Robot()
    try:

        def change(transition: int) -> bool:
            request = ChangeState.Request()
            request.transition.id = transition
            return robot.call(ChangeState, '/planner/change_state', request, 20.0).success

        def state() -> str:
            found = robot.call(GetState, '/planner/get_state', GetState.Request(), 20.0)
            return found.current_state.label

        assert state() == 'unconfigured'
        assert change(1) and state() == 'inactive'
        assert change(3) and state() == 'active'
        until(lambda: robot.state.get_subscription_count(), 10, 'the planner listens')
        assert robot.drive()['level'] == 0
        assert change(4)
        time.sleep(0.2)
        np.testing.assert_array_equal(
            conversions.command_from_msg(robot.commands[-1], CAR), CAR.safe_command
        )
        assert change(2) and state() == 'unconfigured'
        assert change(1) and change(3)
        until(lambda: robot.state.get_subscription_count(), 10, 'the planner listens')
        assert robot.drive()['level'] == 0
        assert process.interrupt() == 0
    finally:
        robot.close()
        process.kill()


@pytest.mark.parametrize(
    ('parameters', 'reason'),
    [
        ({'checkpoint': '/nowhere'}, "checkpoint '/nowhere'"),
        ({'device': 'abacus', 'checkpoint': 'none'}, "device 'abacus'"),
        ({'d0': -1}, 'd0 out of range'),
    ],
)
def test_what_cannot_start_says_why(tmp_path: Path, parameters: dict, reason: str) -> None:
    process = Process(node_command('planner', **parameters), tmp_path / 'log')
    try:
        assert process.wait(40.0) == 1
        assert reason in process.output
        assert 'core dumped' not in process.output
    finally:
        process.kill()


def test_interrupt_at_any_moment_of_the_start(checkpoint: Path, tmp_path: Path) -> None:
    for index, delay in enumerate((0.3, 1.5)):
        process = Process(node_command('planner', checkpoint=checkpoint), tmp_path / f'{index}')
        try:
            time.sleep(delay)
            assert process.interrupt() == 0, process.output
        finally:
            process.kill()
    assert os.path.exists(tmp_path / '0')
