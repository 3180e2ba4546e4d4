# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that are too many, late, twice, or of another time (docs/faults.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import flood
import numpy as np
import pytest
from faults import Stack, as_stored, assert_safe, assert_within, resident, stored
from planner_robot import CAR, PERIOD, Robot, running
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock
from stack import Process, until

from loop_ros.control.intake import LARGEST_BACKLOG
from loop_ros.control.learn_worker import LearnWorker
from loop_ros.control.supervisor import PLAN, STOP
from loop_ros.nodes import conversions, qos

pytestmark = pytest.mark.slow
MEBIBYTE = 1 << 20
NODES = ('bridge', 'planner', 'learner')
FLOOD = 20_000  # messages on each topic


@pytest.fixture(scope='module')
def driven(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, Robot]]:
    """A planner on simulated time, in lockstep."""
    log = tmp_path_factory.mktemp('planner') / 'log'
    with running(checkpoint, log, use_sim_time=True, state_timeout=3.0) as (process, robot):
        yield process, robot
        assert_safe(robot.commands)
        assert process.interrupt() == 0


def test_a_thousand_parameter_changes_while_driving(driven: tuple[Process, Robot]) -> None:
    process, robot = driven
    client = robot.create_client(SetParameters, '/planner/set_parameters')
    assert client.wait_for_service(10.0)
    robot.drive()
    missed, replies, memory = robot.status()['missed periods'], [], 0
    robot.telemetry.clear()
    for number in range(1, 1001):
        value = ParameterValue(type=3, double_value=number / 100)
        request = SetParameters.Request(parameters=[Parameter(name='d0', value=value)])
        replies.append(client.call_async(request))
        if number % 5 == 0:
            until(replies[-1].done, 10, f'an answer to change {number}')
            assert robot.drive()['level'] == PLAN
        if number == 200:
            memory = resident(process)
    assert all(answer.result().results[0].successful for answer in replies)
    assert robot.drive()['d0'] == 10.0
    assert set(robot.levels()) == {PLAN}
    assert robot.status()['missed periods'] == missed
    assert resident(process) - memory < 4 * MEBIBYTE


def answers(robot: Robot, stamp: int) -> list[np.ndarray]:
    found = [m for m in list(robot.commands) if conversions.time_from_msg(m.header.stamp) == stamp]
    return [conversions.command_from_msg(message, CAR) for message in found]


def test_states_late_reordered_and_twice(driven: tuple[Process, Robot]) -> None:
    """Each gets the answer to its own stamp, a repetition the same one."""
    _, robot = driven
    numbers = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 16), 2)).tolist()
    for number in numbers:
        robot.telemetry.clear()
        robot.stamp = (number - 1) * PERIOD
        assert robot.drive()['level'] == PLAN
    robot.stamp = 10**6 * PERIOD  # where it has not been
    robot.drive()
    for count in (1, 2):
        robot.stamp -= PERIOD
        robot.send()
        until(lambda count=count: len(answers(robot, robot.stamp)) > count, 5, 'the same again')
    first, *others = answers(robot, robot.stamp)
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_clocks_that_jump(driven: tuple[Process, Robot]) -> None:
    """The robot's clock and /clock, both ways: it drives on, and a silence still stops it."""
    _, robot = driven
    clock = robot.create_publisher(Clock, '/clock', qos.CLOCK)
    hour, years = 3600 * 10**9, 2**31 * 10**9 - 10**12
    for stamp in (hour, 0, years, hour, PERIOD, years, 0):
        clock.publish(Clock(clock=conversions.time_to_msg(years - stamp)))
        robot.stamp = stamp
        for _ in range(3):
            robot.telemetry.clear()
            assert robot.drive()['level'] == PLAN
        clock.publish(Clock(clock=conversions.time_to_msg(stamp)))
    robot.telemetry.clear()
    until(lambda: STOP in robot.levels(), 10, 'the stop')
    assert robot.drive()['level'] == PLAN


@pytest.mark.timeout(300)
def test_a_flood_on_every_topic(ros_domain: int, tmp_path: Path) -> None:
    """Each topic in turn, 10,000 messages a second where the machine can send as many."""
    stack = Stack(tmp_path)
    try:
        stack.start(*NODES)
        stack.drives(60)
        before = {name: resident(process) for name, process in stack.processes.items()}
        command = [sys.executable, flood.__file__, str(FLOOD), *flood.TOPICS]
        process = Process(command, tmp_path / 'flood.log')
        assert process.wait(90) == 0
        print(process.output)
        stack.drives()
        for name, process in stack.processes.items():
            assert process.popen.poll() is None, process.output
            assert resident(process) - before[name] < 100 * MEBIBYTE
        driven = [t for t in stack.heard() if t.episode != flood.EPISODE]
        assert_within(np.array([t.action for t in driven]))
        state = as_stored(flood.flooded(1))[0][: 4 * CAR.state_dim]
        found = [row for row in stored(stack.kept) if row.startswith(state)]
        assert 0 < len(found) == len(set(found))
        for name in NODES:
            assert stack.processes[name].interrupt() == 0
    finally:
        stack.close()


def test_a_backlog_has_an_end() -> None:
    worker = LearnWorker(None, 1.0, 1.0, lambda _: None, lambda _: None)
    (transition,) = flood.flooded(1)
    assert all(worker.put(transition) for _ in range(LARGEST_BACKLOG))
    assert not worker.put(transition)
    assert worker.intake.backlog == LARGEST_BACKLOG
