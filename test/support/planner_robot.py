# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot made of a test, and the planner node that drives it, as a process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ears import Ears
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import JointState
from stack import Process, node_command, until
from std_msgs.msg import Float64MultiArray, UInt8MultiArray
from std_srvs.srv import Trigger

from loop_ros.nodes import conversions, qos
from loop_ros.sim import registry

CAR = registry.task('drift_car')
PERIOD = 35_000_000
OBSERVATION = np.array([1.0, 0.0, 1.6, 2.0, 0.1, 2.0])
FAST = {'num_samples': 16, 'num_iterations': 1, 'min_safe': 1}


class Robot(Ears):
    """Publishes states and hears everything that the planner says."""

    def __init__(self) -> None:
        super().__init__('robot')
        self.state = self.create_publisher(Odometry, 'odom', qos.COMMAND)
        self.weights = self.create_publisher(UInt8MultiArray, 'weights', qos.WEIGHTS)
        self.commands = self.hear(JointState, 'command', qos.COMMAND)
        self.telemetry = self.hear(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
        self.diagnostics = self.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.supervisor = self.hear(DiagnosticStatus, 'planner/supervisor', qos.STATUS)
        self.stamp = PERIOD

    def send(self, observation: np.ndarray = OBSERVATION, **changes: object) -> int:
        self.stamp += PERIOD
        message = conversions.odometry_to_msg(observation, CAR, self.stamp)
        for name, value in changes.items():
            setattr(message, name, value)
        self.state.publish(message)
        return self.stamp

    def drive(self, timeout: float = 10.0) -> dict[str, float]:
        """One period in lockstep: the telemetry of the command that answers."""
        stamp, sent = self.send(), time.monotonic()

        def answered() -> dict[str, float] | None:
            nonlocal sent
            if time.monotonic() > sent + 0.2:  # best effort: repeated, as the bridge does
                self.stamp -= PERIOD
                sent = self.send() and time.monotonic()
            found = [conversions.telemetry_from_msg(m) for m in list(self.telemetry)]
            return next((t for t in found if t['stamp'] == stamp / 1e9), None)

        return until(answered, timeout, f'telemetry for {stamp}')

    def set(self, name: str, value: float) -> tuple[bool, str]:
        kind = {'double_value': float(value), 'type': 3}
        if isinstance(value, int):
            kind = {'integer_value': value, 'type': 2}
        request = SetParameters.Request(
            parameters=[Parameter(name=name, value=ParameterValue(**kind))]
        )
        (result,) = self.call(SetParameters, '/planner/set_parameters', request).results
        return result.successful, result.reason

    def trigger(self, name: str) -> str:
        """The planner's answer to ~/stop or ~/reset."""
        answer = self.call(Trigger, f'/planner/{name}', Trigger.Request())
        assert answer.success
        return str(answer.message)

    def levels(self) -> list[int]:
        return [int(conversions.telemetry_from_msg(m)['level']) for m in list(self.telemetry)]

    def status(self) -> dict[str, str]:
        """The next diagnostics of the planner."""
        count = len(self.diagnostics)
        until(lambda: len(self.diagnostics) > count, 5, 'diagnostics')
        (status,) = self.diagnostics[-1].status
        values = {pair.key: pair.value for pair in status.values}
        return {'name': status.name, 'message': status.message, 'ros': status.level, **values}


def start(checkpoint: Path, log: Path, **parameters: object) -> tuple[Process, Robot]:
    parameters = {**FAST, 'weights_from': 'robot', **parameters}
    command = node_command('planner', checkpoint=checkpoint, **parameters)
    process, robot = Process(command, log), Robot()
    process.wait_for('weights version 1')
    until(lambda: robot.state.get_subscription_count(), 10, 'the planner listens')
    until(lambda: robot.count_publishers('command'), 10, 'the planner speaks')
    return process, robot


@contextlib.contextmanager
def running(checkpoint: Path, log: Path, **parameters: object) -> Iterator[tuple[Process, Robot]]:
    """Both, until the end of the block."""
    process, robot = start(checkpoint, log, **parameters)
    try:
        yield process, robot
    finally:
        robot.close()
        process.kill()


def module_planner(**parameters: object) -> Any:
    """A fixture: both, for all tests of a module."""

    @pytest.fixture(scope='module')
    def pair(
        checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[tuple[Process, Robot]]:
        log = tmp_path_factory.mktemp('planner') / 'log'
        with running(checkpoint, log, **parameters) as found:
            yield found

    return pair
