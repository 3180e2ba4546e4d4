# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the planner publishes: commands, telemetry, pictures of both; as a shadow, no commands."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from loop_ros.control import shadow
from loop_ros.control.gate import State
from loop_ros.control.supervisor import HOLD, NAMES, PLAN, STOP, Command, Supervisor
from loop_ros.layout import TELEMETRY_FIELDS
from loop_ros.nodes import conversions, drive, qos, views
from loop_ros.nodes.figures import Figures
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.scene import Scene
from loop_ros.sim.task import Task


class PlanPublisher:
    """The planner's publishers and what goes out by them."""

    def __init__(
        self,
        node: ManagedNode,
        task: Task,
        supervisor: Supervisor,
        frames: tuple[str, str],
        is_shadow: bool,
    ) -> None:
        """`frames` are those of the robot's pose and of the robot."""
        self._node, self._task, self._is_shadow = node, task, is_shadow
        self.scene = Scene(node, task, frames)
        self._supervisor = supervisor
        self.level, self.reason = STOP, 'no command so far'
        self.last: Command | None = None  # that was published since `advertise`
        self.prefix = 'shadow/' if is_shadow else 'planner/'  # of its own topics

    def advertise(self) -> None:
        """Make the publishers, until the node is cleaned up."""
        self.last = None
        task, advertise, of_planner = self._task, self._node.advertise, self.prefix
        self._status = advertise(DiagnosticStatus, f'{of_planner}supervisor', qos.STATUS)
        self._publish_status()
        self._telemetry = advertise(Float64MultiArray, f'{of_planner}telemetry', qos.TELEMETRY)
        self._figures = Figures(self._node, f'{of_planner}telemetry/', TELEMETRY_FIELDS)
        self.scene.advertise('shadow/' if self._is_shadow else '')
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
        values = {'stamp': stamp / 1e9, 'level': command.level, **metrics}
        self._telemetry.publish(conversions.telemetry_to_msg(values))
        self._figures.publish(values)
        self.scene.keep_command(state, command)
        if (command.level, command.reason) != (self.level, self.reason):
            self.level, self.reason = command.level, command.reason
            self._publish_status()

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
