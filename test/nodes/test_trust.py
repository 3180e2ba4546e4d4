# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner node says why, tries weights before it takes them, and can plan beside another."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ears import Ears
from nav_msgs.msg import Odometry
from planner_robot import CAR, FAST, OBSERVATION, PERIOD, Robot, module_planner
from sensor_msgs.msg import JointState
from stack import Process, node_command, until
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from loop_ros.agent import Agent
from loop_ros.control import shadow
from loop_ros.nodes import conversions, qos

pytestmark = pytest.mark.slow
lockstep = module_planner(trial_steps=20)


def weights(checkpoint: Path, version: int, shift: float = 0.0) -> bytes:
    """Those of the checkpoint as another version, with predictions moved by a shift."""
    agent = Agent.load(checkpoint, CAR)
    with torch.no_grad():
        agent.ensemble.network.layers[-1].bias[..., : CAR.state_dim] += shift
    agent.version = version
    return agent.weights()


def stamp_of(message: JointState) -> int:
    return conversions.time_from_msg(message.header.stamp)


def test_explain_says_why_the_last_action_was_chosen(lockstep: tuple[Process, Robot]) -> None:
    _, robot = lockstep
    answer = robot.call(Trigger, '/planner/explain', Trigger.Request())
    if not robot.commands:
        assert (answer.success, answer.message) == (False, 'no command so far')
    robot.drive()
    lines = robot.trigger('explain').splitlines()
    assert lines[0] == 'level 0, plan: planning'
    until(lambda: stamp_of(robot.commands[-1]) == robot.stamp, 5, 'its command')
    speed, steering = conversions.command_from_msg(robot.commands[-1], CAR)
    assert lines[1].startswith(f'executed: wheel_speed {speed:.3g}, steering {steering:.3g}, the')
    assert 'weighted mean' in lines[1]
    assert [line.split()[0].strip(',:') for line in lines[2:]] == ['runner-up', 'binding', 'weight']


def test_weights_are_tried_on_what_the_robot_did_last(
    lockstep: tuple[Process, Robot], checkpoint: Path
) -> None:
    process, robot = lockstep
    for _ in range(25):
        robot.drive()
    robot.weights.publish(conversions.weights_to_msg(weights(checkpoint, 2, shift=50.0)))
    process.wait_for('weights refused, version 1 stays: version 2 on the last 20 steps: error in')
    assert robot.status()['weights version'] == '1'
    robot.weights.publish(conversions.weights_to_msg(weights(checkpoint, 3)))
    until(lambda: robot.status()['weights version'] == '3', 10, 'the third version')
    assert robot.drive()['level'] == 0


def test_a_shadow_compares_and_never_commands(
    checkpoint: Path, tmp_path: Path, ros_domain: int
) -> None:
    command = node_command('planner', checkpoint=checkpoint, shadow=True, trial_steps=20, **FAST)
    process, robot = Process(command, tmp_path / 'log'), Ears('robot')
    state = robot.create_publisher(Odometry, 'odom', qos.COMMAND)
    commands = robot.create_publisher(JointState, 'command', qos.STATE)  # best effort, as many do
    differences = robot.hear(Float64MultiArray, 'shadow/difference', qos.TELEMETRY)
    try:
        until(lambda: state.get_subscription_count(), 40, 'the shadow listens')
        until(lambda: commands.get_subscription_count(), 10, 'the shadow hears the other')
        action = np.array([1.5, 0.1])
        for step in range(1, 100):
            state.publish(conversions.odometry_to_msg(OBSERVATION, CAR, step * PERIOD))
            commands.publish(conversions.command_to_msg(action, CAR, step * PERIOD))
            time.sleep(0.05)
            if len(differences) > 5:
                break
        found = conversions.labelled_from_msg(differences[-1], shadow.layout(CAR))
        np.testing.assert_array_equal(found[3:5], action)
        assert np.isfinite(found).all()
        process.wait_for('no usable state on /odom for 0.5 s')
        assert 'safe command' not in process.output
        names = {info.node_name for info in robot.get_publishers_info_by_topic('/command')}
        assert names == {'robot'}
        assert robot.count_publishers('/drive') == 0
        assert robot.count_services('/planner/stop') == 0  # it could not keep the promise
        assert robot.count_services('/planner/explain') == 1
        assert process.interrupt() == 0
    finally:
        robot.close()
        process.kill()
