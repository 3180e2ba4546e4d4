# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the planner publishes: commands, telemetry, pictures; as a shadow, no commands."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from visualization_msgs.msg import MarkerArray

from loop_ros.control import shadow
from loop_ros.control.gate import State
from loop_ros.control.supervisor import HOLD, NAMES, PLAN, STOP, Command, Supervisor
from loop_ros.nodes import conversions, drive, qos, views
from loop_ros.nodes.managed import ManagedNode
from loop_ros.sim.task import Task
from loop_ros.types import Array, Plan

PICTURE_PERIOD = 0.1  # s, between pictures of the plan


class PlanPublisher:
    """The planner's publishers and what goes out by them."""

    def __init__(
        self, node: ManagedNode, task: Task, supervisor: Supervisor, frame: str, is_shadow: bool
    ) -> None:
        """`frame` is that of the robot's pose."""
        self._node, self._task, self._frame, self._is_shadow = node, task, frame, is_shadow
        self._supervisor = supervisor
        self.level, self.reason = STOP, 'no command so far'
        self.last: Command | None = None  # that was published since `advertise`
        self.prefix = 'shadow/' if is_shadow else 'planner/'  # of its own topics
        self._next_picture = 0.0

    def advertise(self) -> None:
        """Make the publishers, until the node is cleaned up."""
        self.last = None
        task, advertise, of_planner = self._task, self._node.advertise, self.prefix
        above = 'shadow/' if self._is_shadow else ''
        self._status = advertise(DiagnosticStatus, f'{of_planner}supervisor', qos.STATUS)
        self._publish_status()
        self._telemetry = advertise(Float64MultiArray, f'{of_planner}telemetry', qos.TELEMETRY)
        self._path = advertise(Path, f'{above}plan', qos.VIEW)
        self._markers = advertise(MarkerArray, f'{above}plan_markers', qos.VIEW)
        self._command = self._drive = self._difference = None
        if self._is_shadow:
            self._difference = advertise(Float64MultiArray, 'shadow/difference', qos.TELEMETRY)
            return
        self._command = advertise(JointState, 'command', qos.COMMAND)
        if drive.fits(task):
            self._drive = advertise(drive.MESSAGE, 'drive', qos.COMMAND)

    def publish_command(self, state: State, command: Command) -> None:
        """The command for a state first, then what is to be known of it.

        Called by the planner thread and by the executor's, in turns.
        """
        self.last, stamp, plan = command, state.stamp, command.plan
        if self._command is not None:
            self._command.publish(conversions.command_to_msg(command.action, self._task, stamp))
        if self._drive is not None:
            self._drive.publish(drive.to_msg(command.action, self._task, stamp))
        metrics = {} if plan is None else plan.metrics()
        self._telemetry.publish(
            conversions.telemetry_to_msg({'stamp': stamp / 1e9, 'level': command.level, **metrics})
        )
        if (command.level, command.reason) != (self.level, self.reason):
            self.level, self.reason = command.level, command.reason
            self._publish_status()
        if plan is not None and plan.predicted and state.observation is not None:
            self._publish_picture(stamp, state.observation, command.level, plan)

    def wait(self) -> None:
        """Until the last command has arrived everywhere, within reason."""
        self._node.wait_for_arrival(self._command, self._drive)

    def status(self) -> tuple[bytes, str]:
        """Severity and text of the last command's level, for diagnostics."""
        severe = {PLAN: views.OK, HOLD: views.ERROR, STOP: views.ERROR}
        text = self.reason if self.level == PLAN else f'{NAMES[self.level]}: {self.reason}'
        return severe.get(self.level, views.WARN), text

    def publish_difference(self, difference: shadow.Difference) -> None:
        """As a shadow: what another controller did otherwise."""
        assert self._difference is not None
        values, fields = shadow.values(difference), shadow.layout(self._task)
        self._difference.publish(conversions.labelled_to_msg(values, fields))

    def _publish_status(self) -> None:
        severity, text = self.status()
        latched = str(self._supervisor.latched).lower()
        values = {'level': self.level, 'reason': self.reason, 'latched': latched}
        name = f'{self._node.get_fully_qualified_name()}: supervisor'
        status = views.status_to_msg(name, self._task.name, severity, text, values)
        self._status.publish(status)

    def _publish_picture(self, stamp: int, observation: Array, level: int, plan: Plan) -> None:
        """The plan for a viewer; costs nothing without a subscriber."""
        path: Callable[[Array, Array], Array] | None = self._task.path
        watched = [p for p in (self._path, self._markers) if p.get_subscription_count() > 0]
        if path is None or not watched or time.monotonic() < self._next_picture:
            return
        self._next_picture = time.monotonic() + PICTURE_PERIOD
        poses = path(observation, plan.states)
        if self._path in watched:
            period = self._task.control_period
            self._path.publish(views.path_to_msg(poses, self._frame, stamp, period))
        if self._markers in watched:
            text = f'd0 {plan.d0:g}, worst cost {plan.worst_cost:.2f}, level {level}'
            self._markers.publish(views.markers_to_msg(poses, self._frame, stamp, level, text))
