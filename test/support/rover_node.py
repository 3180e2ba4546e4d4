# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot of `rover.py` as a plain node that knows nothing of loop_ros, and its robot node."""

from __future__ import annotations

import bisect
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from geometry_msgs.msg import PoseStamped, Twist
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions
from rover import TASK
from sensor_msgs.msg import JointState, Joy, LaserScan
from stack import until
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

from loop_ros.nodes import conversions, qos
from loop_ros.nodes.robot import RobotNode
from loop_ros.types import Transition

RATE = 50.0  # Hz of odometry
LAG = 0.04  # s: of odometry, and of a message on its way
SAFE = (0.0, 0.0)
Pose = tuple[float, float, float]


class Rover(Ears):
    """Obeys /cmd_vel by exact kinematics, and hears everything that the robot node says."""

    def __init__(self, command: Any = Twist, drives: bool = True, answers: bool = True) -> None:
        """`drives`: obeys its topic; `answers`: stands in for the planner."""
        super().__init__('rover')
        self.pose: Pose = (0.0, 0.0, 0.0)
        self.twist = SAFE
        self.said_at: list[tuple[float, float]] = []  # s; the y of odometry, each another
        self.given: list[tuple[float, tuple[float, float]]] = []  # s; what was commanded
        self.messages: list[Any] = []  # that commanded it
        self.silent = False
        self.change: Callable[[Odometry], object] = lambda message: None  # spoils odometry
        self.plan: Callable[[], tuple[float, float]] | None = lambda: (0.4, 0.2)  # the planner's
        self.hand: Callable[[], tuple[float, float, bool]] | None = None  # a human's
        self.odometry = self.create_publisher(Odometry, '/odom', 10)
        self.scans = self.create_publisher(LaserScan, '/scan', qos.STATE)
        self.goals = self.create_publisher(PoseStamped, '/goal_pose', qos.WEIGHTS)
        self.joystick = self.create_publisher(Joy, '/joy', 10)
        self.send_goal(30.0)
        self.states = self.hear(JointState, 'state', qos.STATE)
        self.executed = self.hear(JointState, 'executed', qos.COMMAND)
        self.takeover = self.hear(Bool, 'takeover', qos.STATUS)
        self.diagnostics = self.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.raw = self.hear(Float64MultiArray, 'transition', qos.TRANSITION)
        if drives:
            self.create_subscription(command, '/cmd_vel', self._on_command, 10)
        if answers:
            self.commands = self.create_publisher(JointState, 'command', qos.COMMAND)
            self.create_subscription(JointState, 'state', self._on_state, qos.STATE)
        self._moved = time.monotonic()
        self.create_timer(1 / RATE, self._move)

    def send_goal(self, x: float) -> None:
        message = PoseStamped()
        message.header.frame_id = 'odom'
        message.pose.position.x, message.pose.orientation.w = x, 1.0
        self.goals.publish(message)

    def _on_command(self, message: Any) -> None:
        self._integrate()
        twist = getattr(message, 'twist', message)
        self.messages.append(message)
        self.obey(twist.linear.x, twist.angular.z)

    def obey(self, speed: float, turn: float) -> None:
        self.twist = speed, turn
        self.given.append((time.monotonic(), self.twist))

    def _on_state(self, message: JointState) -> None:
        if self.plan is not None:
            self.answer(message, np.array(self.plan()))

    def answer(self, state: JointState, action: np.ndarray) -> None:
        stamp = conversions.time_from_msg(state.header.stamp)
        self.commands.publish(conversions.command_to_msg(action, TASK, stamp))

    def _integrate(self) -> None:
        now = time.monotonic()
        (x, y, yaw), (speed, turn), dt = self.pose, self.twist, now - self._moved
        middle = yaw + turn * dt / 2
        self.pose = (
            x + speed * dt * math.cos(middle),
            y + speed * dt * math.sin(middle),
            yaw + turn * dt,
        )
        self._moved = now

    def _move(self) -> None:
        self._integrate()
        x, y, yaw = self.pose
        y += 1e-7 * (len(self.said_at) + 1)  # so that no two messages are alike
        message = Odometry(child_frame_id='base_link')
        message.header.frame_id = 'odom'
        message.pose.pose.position.x, message.pose.pose.position.y = x, y
        message.pose.pose.orientation.z = math.sin(yaw / 2)
        message.pose.pose.orientation.w = math.cos(yaw / 2)
        self.change(message)
        if not self.silent:
            self.said_at.append((self._moved, y))
            self.odometry.publish(message)
        beams = LaserScan(angle_min=-1.5, angle_increment=0.1, range_min=0.05, range_max=30.0)
        beams.ranges = [math.inf] * 31
        self.scans.publish(beams)
        if self.hand is not None:
            speed, turn, held = self.hand()
            axes = [0.0, speed / 2.0, 0.0, turn / 0.5]
            self.joystick.publish(Joy(axes=axes, buttons=[0, 0, 0, 0, int(held)]))

    @property
    def transitions(self) -> list[Transition]:
        return [conversions.transition_from_msg(message, TASK) for message in list(self.raw)]

    def said(self) -> list[np.ndarray]:
        """What the robot node says was executed."""
        return [conversions.command_from_msg(message, TASK) for message in list(self.executed)]

    def trigger(self, name: str) -> bool:
        return bool(self.call(Trigger, f'/robot/{name}', Trigger.Request()).success)

    def status(self) -> dict[str, Any]:
        """The next diagnostics of the robot node."""
        count = len(self.diagnostics)

        def found() -> Any:
            statuses = [s for m in self.diagnostics[count:] for s in m.status]
            return next((s for s in statuses if s.name == '/robot: robot'), None)

        status = until(found, 5, 'diagnostics')
        values = {pair.key: pair.value for pair in status.values}
        return {'message': status.message, 'ros': status.level, **values}

    def assert_whole(self) -> None:
        """Transitions follow each other, and are rewarded as the task says."""
        last = None
        for found in self.transitions:
            before, after = (np.hypot(*o[3:5]) for o in (found.observation, found.next_observation))
            assert math.isclose(found.reward, before - after, abs_tol=1e-9)
            if last is not None and last.episode == found.episode:
                assert found.step == last.step + 1 and not (last.terminated or last.truncated)
                np.testing.assert_array_equal(found.observation, last.next_observation)
            elif last is not None:
                assert found.episode > last.episode and found.step == 0
            last = found

    def assert_true(self, least: float = 0.5, lag: float = 0.4) -> None:
        """Each transition is what the robot did: from when to when, and by which commands.

        In control periods: `least` is the shortest one, and states are older than `lag` never.
        """
        self.assert_whole()
        period = TASK.control_period
        said, given = {y: at for at, y in list(self.said_at)}, list(self.given)
        for found in self.transitions:
            begun, ended = said[found.observation[1]], said[found.next_observation[1]]
            assert least * period < ended - begun < 1.5 * period, (found, begun, ended)
            mean, span = _commands(given, begun, ended)
            assert (np.abs(found.action - mean) <= lag * span + 1e-6).all(), (found, mean, span)


def _commands(
    given: list[tuple[float, tuple[float, float]]], begun: float, ended: float
) -> tuple[np.ndarray, np.ndarray]:
    """The mean by time, and by how much it may be off.

    A state is as old as its odometry, so the period of the node lies a little later.
    """
    times = [at for at, _ in given]
    values = np.array([SAFE, *(value for _, value in given)])
    edges = [begun, *times[bisect.bisect(times, begun) : bisect.bisect(times, ended)], ended]
    parts = [
        (end - start) * values[bisect.bisect(times, start)]
        for start, end in zip(edges, edges[1:], strict=False)
    ]
    first, last = bisect.bisect(times, begun - LAG), bisect.bisect(times, ended + LAG)
    return np.sum(parts, axis=0) / (ended - begun), np.ptp(values[first : last + 1], axis=0)


class Hosted:
    """The robot node in the test's own process."""

    def __init__(self, path: Path, **parameters: object) -> None:
        arguments = ['--ros-args', '-p', f'robot:={path}']
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ['-p', f'{name}:={text}']
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        try:
            self.node = RobotNode()
        except BaseException:
            rclpy.try_shutdown()
            raise
        self.failure: BaseException | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def start(self) -> Hosted:
        success = TransitionCallbackReturn.SUCCESS
        assert self.node.trigger_configure() == success
        assert self.node.trigger_activate() == success
        self._thread.start()
        return self

    def _spin(self) -> None:
        try:
            while not self._stop.is_set():
                self._executor.spin_once(timeout_sec=0.05)
        except BaseException as error:
            self.failure = error

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.node.trigger_shutdown()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()
        assert self.failure is None, self.failure
