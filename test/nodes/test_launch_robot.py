# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot that knows nothing of loop_ros learns to drive by one launch and one file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from rover import robot_file
from rover_node import SAFE, Rover
from sensor_msgs.msg import JointState
from source_tree import TREE
from stack import ROS2, Process, environment, make_prefix, node_command, until
from std_msgs.msg import Float64MultiArray, UInt8MultiArray

from loop_ros.nodes import conversions, qos
from ros2_standalone.launch_actions import Launch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
START = 60.0  # s; three processes that import torch, on a busy machine
PATHS = os.pathsep.join([str(TREE / 'test/support'), os.environ['PYTHONPATH']])  # of the task
SMALL = {
    'planner': {'horizon': 3, 'num_samples': 16, 'num_iterations': 1, 'min_safe': 1},
    'ensemble': {'num_layers': 1, 'width': 16, 'max_epochs': 1, 'train_every': 20},
    'off_policy': {'width': 16},
    'learning': {'random_steps': 20},
}


@pytest.fixture
def rover(ros_domain: int) -> Iterator[Rover]:
    robot = Rover(answers=False)
    yield robot
    robot.close()


def test_a_robot_learns_as_it_drives(rover: Rover, tmp_path: Path) -> None:
    profile = tmp_path / 'small.yaml'
    profile.write_text(yaml.dump(SMALL))
    path = robot_file(tmp_path, episode='{start: auto, settle: 0.2}')
    weights = rover.hear(UInt8MultiArray, 'weights', qos.WEIGHTS)
    telemetry = rover.hear(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
    answers = rover.hear(JointState, 'command', qos.COMMAND)
    env = environment(make_prefix(tmp_path / 'prefix'))
    env['PYTHONPATH'] = PATHS
    command = [*ROS2['standalone'], 'launch', 'loop_ros', 'robot.launch.py', f'robot:={path}']
    process = Process(
        [*command, 'task:=rover:TASK', f'profile:={profile}'], tmp_path / 'log', env=env
    )

    def planned() -> bool:
        found = [conversions.telemetry_from_msg(message) for message in list(telemetry)]
        return any(t['level'] == 0 and t['iterations'] > 0 for t in found)

    try:
        process.wait_for('episodes begin by auto', START)
        until(lambda: len(rover.transitions) > 30, START, 'transitions')
        until(lambda: weights, 30, 'what was learned of them')
        until(planned, 30, 'plans by it')
        until(lambda: any(t.truncated for t in rover.transitions), 15, 'the end of an episode')
        stamps = {conversions.time_from_msg(message.header.stamp) for message in rover.states}
        assert stamps & {conversions.time_from_msg(m.header.stamp) for m in answers}
        assert np.std([t.action for t in rover.transitions], axis=0).min() > 0.01
        rover.assert_whole()  # of their times test_robot.py has more, where fewer processes run
        assert process.interrupt() == 0
    finally:
        process.kill()


def test_the_last_that_a_robot_hears_is_the_safe_command(ros_domain: int, tmp_path: Path) -> None:
    robot, path = Rover(), robot_file(tmp_path, episode='{start: auto, settle: 0.2}')
    env = {**os.environ, 'PYTHONPATH': PATHS}
    process = Process(node_command('robot', robot=path), tmp_path / 'log', env=env)
    try:
        until(lambda: robot.given and robot.given[-1][1] == (0.4, 0.2), START, 'it drives')
        assert process.interrupt() == 0
        until(lambda: robot.given[-1][1] == SAFE, 1, 'the safe command')
    finally:
        robot.close()
        process.kill()


@pytest.mark.parametrize('topics', ['', '/scan', '/odom  /scan'])
def test_each_of_the_further_topics_is_recorded(
    topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(make_prefix(tmp_path / 'prefix'))
    monkeypatch.setenv('AMENT_PREFIX_PATH', env['AMENT_PREFIX_PATH'])
    launch = Launch(tmp_path, lambda warning: None)
    bag = str(tmp_path / 'my bag')
    arguments = {'robot': 'r', 'task': 't', 'record': bag, 'topics': topics, 'namespace': 'bob'}
    launch.carry_out(TREE / 'launch/robot.launch.yaml', arguments)
    recorder = tmp_path / 'bin/ros2'
    recorder.parent.mkdir()
    recorder.write_text('#!/bin/sh\nprintf "%s\n" "$@"\n')
    recorder.chmod(0o755)
    path = f'{recorder.parent}:{os.environ["PATH"]}'
    command = launch.processes[-1].command
    found = subprocess.run(command, env={'PATH': path}, capture_output=True, text=True, check=True)
    words = found.stdout.splitlines()
    assert words[:2] == ['bag', 'record']
    assert words[words.index('-o') + 1] == bag
    recorded = words[words.index('--topics') + 1 :]
    assert recorded[0] == '/bob/state'
    assert recorded[recorded.index('/parameter_events') + 1 :] == topics.split()
