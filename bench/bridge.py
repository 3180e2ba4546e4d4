# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the messages allow: steps a second in lockstep, transitions a second into the learner."""

from __future__ import annotations

import argparse
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rich.console import Console
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from loop_ros.bench.processes import NAMESPACE, START_TIMEOUT, Talker, node, talker
from loop_ros.bench.report import Row
from loop_ros.nodes import conversions, qos
from loop_ros.sim import registry
from loop_ros.sim.simulation import Simulation

TITLE = 'Messages: environment steps in lockstep, transitions into the learner'
TASK = registry.task('drift_car')
FIRST_RATE = 500.0  # transitions/s
GROWTH = 1.5  # of the rate, until some are lost or cannot be sent
MOST_RATES = 12
LEAST = 2000  # transitions at a rate: more than the queues of 1,000 on the way can hold
KEPT_UP = 0.8  # share of the rate asked for below which the sender itself is the limit
SILENCE = 4.0  # s without a further transition after which the rest counts as lost


class Commander:
    """Answers every state at once with the same command."""

    def __init__(self, ros: Talker) -> None:
        self.steps = self.repetitions = 0
        self._last = -1
        self.publisher = ros.create_publisher(JointState, 'command', qos.COMMAND)
        self.action = np.array(TASK.safe_command)
        ros.create_subscription(Odometry, 'odom', self._on_state, qos.STATE)

    def _on_state(self, message: Odometry) -> None:
        stamp = conversions.time_from_msg(message.header.stamp)
        if stamp == self._last:  # its answer, or the state itself, got lost: it comes again
            self.repetitions += 1
        else:
            self.steps += 1
        self._last = stamp
        self.publisher.publish(conversions.command_to_msg(self.action, TASK, stamp))


class Feeder:
    """Sends transitions at a rate and counts how many the learner has received."""

    def __init__(self, ros: Talker) -> None:
        self.ros, self.sent, self.received = ros, 0, 0
        self.simulation = Simulation(TASK, registry.make(TASK.name), seed=0)
        self.rng = np.random.default_rng(0)
        self.publisher = ros.create_publisher(Float64MultiArray, 'transition', qos.TRANSITION)
        ros.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS
        )

    def send(self, rate: float, seconds: float) -> float:
        """Send evenly, and return the rate that came of it."""
        messages = [self._message() for _ in range(max(LEAST, round(rate * seconds)))]
        start = time.perf_counter()
        for count, message in enumerate(messages):
            if (early := start + count / rate - time.perf_counter()) > 0:
                time.sleep(early)
            self.publisher.publish(message)
        self.sent += len(messages)
        return len(messages) / (time.perf_counter() - start)

    def settle(self) -> int:
        """Wait for the learner's count; how many of all that was sent it has not received."""
        last, since = -1, time.perf_counter()
        while self.received < self.sent and time.perf_counter() - since < SILENCE:
            self.ros.spin_for(0.1)
            if self.received != last:
                last, since = self.received, time.perf_counter()
        return self.sent - self.received

    def _message(self) -> Float64MultiArray:
        action = self.rng.uniform(TASK.action_low, TASK.action_high)
        return conversions.transition_to_msg(self.simulation.step(action), TASK)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f'{NAMESPACE}/learner: learning':
                values = {pair.key: pair.value for pair in status.values}
                self.received = int(values['received'])


def run(options: argparse.Namespace) -> list[Row]:
    """Two rows; options: seconds (of each measurement)."""
    return [lockstep(options.seconds), intake(options.seconds)]


def lockstep(seconds: float) -> Row:
    """Environment steps a second with a commander that does not think."""
    with (
        talker('commander') as ros,
        Console(stderr=True).status('lockstep'),
        node('bridge', task=TASK.name, speed=0) as check,
    ):
        commander = Commander(ros)

        def running() -> bool:
            check()
            return commander.steps > 10

        ros.spin_until(running, START_TIMEOUT, 'the bridge steps')
        first, repeated, start = commander.steps, commander.repetitions, time.perf_counter()
        ros.spin_for(seconds)
        rate = (commander.steps - first) / (time.perf_counter() - start)
        lost = commander.repetitions - repeated
        check()
    return {'what': 'environment steps in lockstep', 'per_s': rate, 'lost': lost}


def intake(seconds: float) -> Row:
    """The highest of growing rates of transitions at which the learner has missed none."""
    with (
        talker('feeder') as ros,
        Console(stderr=True).status('transitions into the learner') as status,
        node('learner', task=TASK.name) as check,
    ):
        feeder = Feeder(ros)

        def listening() -> bool:
            check()
            return feeder.publisher.get_subscription_count() > 0

        ros.spin_until(listening, START_TIMEOUT, 'the learner listens')
        best, limit = 0.0, 'none found'
        for trial in range(MOST_RATES):
            rate = FIRST_RATE * GROWTH**trial
            status.update(f'transitions into the learner, {rate:.0f}/s')
            achieved = feeder.send(rate, seconds)
            lost = feeder.settle()
            check()
            if lost:
                limit = f'{lost} lost at {achieved:.0f}/s'
                break
            best = max(best, achieved)
            if achieved < KEPT_UP * rate:
                limit = 'the sender'
                break
    return {'what': 'transitions into the learner', 'per_s': best, 'lost': 0, 'limit': limit}
