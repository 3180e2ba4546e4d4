# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a state message to the command message that answers it, through DDS and the planner node.

The benchmark is the robot: it drives the simulated car in real time with the newest command, and
takes the time from the publication of a state to the arrival of its command. With the learner, its
node trains beside the planner on the transitions of this drive.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rich.console import Console
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from loop_ros.bench.processes import NAMESPACE, START_TIMEOUT, Talker, node, talker
from loop_ros.bench.report import Row
from loop_ros.bench.timing import percentiles
from loop_ros.control.supervisor import PLAN
from loop_ros.nodes import conversions, qos
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.simulation import Simulation
from loop_ros.types import Array

TITLE = 'State message out to command message in, real time'
WARM_UP = 2.0  # s of driving that are not counted
TASK = 'drift_car'


class Robot:
    """The car, its clock, and how long each of its states waited for a command."""

    def __init__(self, ros: Talker) -> None:
        self.ros, self.task = ros, registry.task(TASK)
        self.simulation = Simulation(self.task, registry.make(TASK), seed=0)
        self.command: Array = np.array(self.task.safe_command)
        self.sent: dict[int, float] = {}  # stamp -> time of publication, s
        self.waited: dict[int, float] = {}  # stamp -> s until its command
        self.levels: dict[int, int] = {}  # stamp -> level of the answer
        self.iterations: dict[int, float] = {}  # stamp -> of the plan behind it
        self.learner: dict[str, str] = {}  # its last diagnostics
        self.states = ros.create_publisher(Odometry, 'odom', qos.STATE)
        self.transitions = ros.create_publisher(Float64MultiArray, 'transition', qos.TRANSITION)
        ros.create_subscription(JointState, 'command', self._on_command, qos.COMMAND)
        ros.create_subscription(
            Float64MultiArray, 'planner/telemetry', self._on_telemetry, qos.TELEMETRY
        )
        ros.create_subscription(
            DiagnosticArray, '/diagnostics', self._on_diagnostics, qos.DIAGNOSTICS
        )

    def practise(self, steps: int) -> None:
        """Random driving for the learner, which does not learn before it has some."""
        rng = np.random.default_rng(0)
        for _ in range(steps):
            action = rng.uniform(self.task.action_low, self.task.action_high)
            self._step(action)
            self.ros.spin_for(0.001)  # not faster than a queue of 1,000 can take

    def drive(self, seconds: float) -> None:
        """Real time: each period the newest command moves the car, and its state goes out."""
        start = time.perf_counter()
        periods = round(seconds / self.task.control_period)
        for period in range(1, periods + 1):
            stamp = self.simulation.stamp
            message = conversions.odometry_to_msg(self.simulation.observation, self.task, stamp)
            self.sent[stamp] = time.perf_counter()
            self.states.publish(message)
            left = start + period * self.task.control_period - time.perf_counter()
            self.ros.spin_for(left)
            self._step(self.command)

    def forget(self) -> None:
        """Begin to count."""
        self.sent.clear()
        self.waited.clear()
        self.levels.clear()
        self.iterations.clear()

    def _step(self, action: Array) -> None:
        transition = self.simulation.step(action)
        self.transitions.publish(conversions.transition_to_msg(transition, self.task))

    def _on_command(self, message: JointState) -> None:
        now, stamp = time.perf_counter(), conversions.time_from_msg(message.header.stamp)
        self.command = conversions.command_from_msg(message, self.task)
        if stamp in self.sent:
            self.waited.setdefault(stamp, now - self.sent[stamp])

    def _on_telemetry(self, message: Float64MultiArray) -> None:
        telemetry = conversions.telemetry_from_msg(message)
        stamp = round(1e9 * telemetry['stamp'])
        self.levels[stamp] = int(telemetry['level'])
        if self.levels[stamp] == PLAN:
            self.iterations[stamp] = telemetry['iterations']

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f'{NAMESPACE}/learner: learning':
                self.learner = {pair.key: pair.value for pair in status.values}


def run(options: argparse.Namespace) -> list[Row]:
    """Without and with the learner; options: seconds, device, num_threads, profile."""
    return [measure(options, learning) for learning in (False, True)]


def measure(options: argparse.Namespace, learning: bool) -> Row:
    """Drive for so many seconds; the row."""
    common = {'task': TASK, 'profile': options.profile, 'device': options.device}
    if options.num_threads:
        common['num_threads'] = options.num_threads
    settings = Settings.for_task(registry.task(TASK), options.profile)
    with contextlib.ExitStack() as stack:
        robot = Robot(stack.enter_context(talker('robot')))
        nodes = [stack.enter_context(node('planner', step_mode='realtime', **common))]
        if learning:
            nodes.append(stack.enter_context(node('learner', **common)))
        _wait_for_listeners(robot, nodes, learning)
        status = Console(stderr=True).status(f'{"with" if learning else "without"} learner')
        stack.enter_context(status)
        if learning:
            robot.practise(settings.learning.random_steps)
        robot.drive(WARM_UP)
        robot.forget()
        before = int(robot.learner.get('learned', 0))
        robot.drive(options.seconds)
        for check in nodes:
            check()
        return _row(robot, options, learning, before)


def _wait_for_listeners(robot: Robot, nodes: list[Callable[[], None]], learning: bool) -> None:
    def ready() -> bool:
        for check in nodes:
            check()
        heard = robot.transitions.get_subscription_count() or not learning
        return bool(heard and robot.states.get_subscription_count())

    robot.ros.spin_until(ready, START_TIMEOUT, 'the nodes listen')


def _row(robot: Robot, options: argparse.Namespace, learning: bool, learned_before: int) -> Row:
    waited = 1e3 * np.array(list(robot.waited.values()))
    p50, p99 = percentiles(waited)
    fresh = sum(robot.levels.get(stamp) == PLAN for stamp in robot.sent)
    row: Row = {
        'learner': learning,
        'profile': options.profile,
        'device': options.device,
        'period_ms': 1e3 * robot.task.control_period,
        'states': len(robot.sent),
        'answered': len(robot.waited),
        'fresh_plans': fresh,
        'iterations': sum(robot.iterations.values()) / max(1, len(robot.iterations)),
        'p50_ms': p50,
        'p99_ms': p99,
        'max_ms': float(waited.max(initial=0.0)),
    }
    if learning:
        row['learned'] = int(robot.learner.get('learned', 0)) - learned_before
        row['backlog'] = int(robot.learner.get('backlog', 0))
    return row
