# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planners of two robots in one process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from faults import CAR
from nav_msgs.msg import Odometry
from planner_robot import OBSERVATION, PERIOD
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import JointState
from stack import Process, make_checkpoint, node_command, until
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from loop_ros.control.supervisor import PLAN, STOP
from loop_ros.nodes import conversions, qos

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROBOTS = ('robot_1', 'robot_2')


class Watcher(Ears):
    """Hears what two planners say."""

    def __init__(self) -> None:
        super().__init__('watcher')
        self.diagnostics = self.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.telemetry = {
            robot: self.hear(Float64MultiArray, f'/{robot}/planner/telemetry', qos.TELEMETRY)
            for robot in ROBOTS
        }
        self.commands = {
            robot: self.hear(JointState, f'/{robot}/command', qos.COMMAND) for robot in ROBOTS
        }

    def next(self, robot: str, count: int = 10) -> list[dict[str, float]]:
        """What comes with the next commands of a robot."""
        heard, begin = self.telemetry[robot], len(self.telemetry[robot])
        until(lambda: len(heard) >= begin + count, 40, f'{count} commands of {robot}')
        return [conversions.telemetry_from_msg(message) for message in heard[begin:]]

    def value(self, robot: str, key: str) -> float:
        """The newest one of a planner's diagnostics."""
        found = [
            float(pair.value)
            for message in self.diagnostics
            for status in message.status
            for pair in status.values
            if status.name == f'/{robot}/planner: planning' and pair.key == key
        ]
        return found[-1] if found else float('nan')


def start_planners(folder: Path, robots: str, *arguments: str, **parameters: Any) -> Process:
    command = node_command('fleet_planner', *arguments, **parameters)
    at = command.index('--ros-args')
    return Process([*command[:at], robots, *command[at:]], folder / 'log')


@pytest.fixture
def watcher(ros_domain: int) -> Iterator[Watcher]:
    watcher = Watcher()
    yield watcher
    watcher.close()


def test_each_robot_has_what_a_robot_alone_has(watcher: Watcher, tmp_path: Path) -> None:
    """Driving in lockstep, a threshold, a stop, and at the end the safe command."""
    start = make_checkpoint(tmp_path / 'start', d0=0.5)
    planners = start_planners(tmp_path, 'robot_1..2', checkpoint=start, snapshots=tmp_path)
    processes = [planners]
    for number, robot in enumerate(ROBOTS):
        bridge = node_command('bridge', '-r', f'__ns:=/{robot}', seed=number, speed=0)
        processes.append(Process(bridge, tmp_path / robot))
    try:
        for robot in ROBOTS:
            until(lambda r=robot: watcher.next(r, 1)[-1]['level'] == PLAN, 40, 'plans')
            assert {each['level'] for each in watcher.next(robot)} == {PLAN}

        given = Parameter(name='d0', value=ParameterValue(type=3, double_value=0.9))
        request = SetParameters.Request(parameters=[given])
        watcher.call(SetParameters, '/robot_1/planner/set_parameters', request)
        until(lambda: watcher.next('robot_1', 1)[-1]['d0'] == 0.9, 30, 'plans under it')
        assert {each['d0'] for each in watcher.next('robot_2')} == {0.5}

        assert watcher.call(Trigger, '/robot_1/planner/stop', Trigger.Request()).success
        until(lambda: watcher.next('robot_1', 1)[-1]['level'] == STOP, 30, 'a stop')
        assert {each['level'] for each in watcher.next('robot_1')} == {STOP}
        assert {each['level'] for each in watcher.next('robot_2')} == {PLAN}

        assert planners.interrupt() == 0
        for robot in ROBOTS:
            last = conversions.command_from_msg(watcher.commands[robot][-1], CAR)
            np.testing.assert_array_equal(last, CAR.safe_command)
    finally:
        for process in processes:
            process.kill()


def test_robots_that_need_plans_at_once_get_them_in_one_pass(
    watcher: Watcher, tmp_path: Path
) -> None:
    """Plans that take long: the first robot's runs when the two others ask."""
    start = make_checkpoint(tmp_path / 'start', num_samples=2000)
    planners = start_planners(tmp_path, 'robot_1..3', checkpoint=start)
    robots = [
        watcher.create_publisher(Odometry, f'/{name}/odom', qos.COMMAND)
        for name in (*ROBOTS, 'robot_3')
    ]
    try:
        for robot in robots:
            until(robot.get_subscription_count, 60, 'the planner listens')

        periods = itertools.count(1)

        def is_shared() -> bool:
            stamp = next(periods) * PERIOD
            for robot in robots:
                robot.publish(conversions.odometry_to_msg(OBSERVATION, CAR, stamp))
            time.sleep(0.2)
            return watcher.value('robot_1', 'robots in a pass') > 1

        until(is_shared, 60, 'a common pass')
        assert watcher.value('robot_1', 'robots in a pass') <= 3
    finally:
        planners.kill()


def test_a_planner_that_cannot_start_ends_the_others(ros_domain: int, tmp_path: Path) -> None:
    params = tmp_path / 'params.yaml'
    params.write_text('/robot_2/planner:\n  ros__parameters: {device: "cuda:77"}\n')
    planners = start_planners(tmp_path, 'robot_1..2', '--params-file', str(params))
    try:
        assert planners.wait(60) == 1
        assert '[robot_2.planner]: cannot configure' in planners.output
        assert '[robot_1.planner]: cannot' not in planners.output
    finally:
        planners.kill()


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        ((), 'no robots: give their namespaces, as in fleet_planner_node robot_1..4'),
        (('robot_1..2', '--ros-args', '-r', '__ns:=/lab'), 'name theirs whole instead'),
    ],
)
def test_what_is_no_list_of_robots_is_refused(
    ros_domain: int, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    planners = Process([*node_command('fleet_planner')[:-1], *words], tmp_path / 'log')
    try:
        assert planners.wait(60) == 1
        assert reason in planners.output
    finally:
        planners.kill()
