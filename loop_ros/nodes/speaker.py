# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the planner says: commands, telemetry, pictures of the plan; as a shadow, no commands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Path
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from visualization_msgs.msg import MarkerArray

from loop_ros import layout
from loop_ros.control import shadow
from loop_ros.control.plan_worker import Answer
from loop_ros.nodes import conversions, drive, qos, views
from loop_ros.nodes.managed import ManagedNode
from loop_ros.sim.task import Array, Task
from loop_ros.types import Plan

PICTURE_PERIOD = 0.1  # s, between pictures of the plan


class Speaker:
    """Publishers and what goes out by them."""

    def __init__(self, node: ManagedNode, task: Task, frame: str, is_shadow: bool) -> None:
        """`frame` is that of the robot's pose."""
        self._node, self._task, self._frame, self._is_shadow = node, task, frame, is_shadow
        self._next_picture = 0.0

    def advertise(self) -> None:
        """Make the publishers, until the node is cleaned up."""
        task, advertise = self._task, self._node.advertise
        of_planner, above = ('shadow/', 'shadow/') if self._is_shadow else ('planner/', '')
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

    def say(self, answer: Answer) -> None:
        """Command first."""
        level, action, _, plan = answer.command
        if self._command is not None:
            self._command.publish(conversions.command_to_msg(action, self._task, answer.stamp))
        if self._drive is not None:
            self._drive.publish(drive.to_msg(action, self._task, answer.stamp))
        figures: dict[str, Any] = {
            name: getattr(plan, name) for name in layout.PLAN_FIELDS if plan is not None
        }
        self._telemetry.publish(
            conversions.telemetry_to_msg({'stamp': answer.stamp / 1e9, 'level': level, **figures})
        )
        if plan is not None and self._task.path is not None:
            self._picture(answer, plan, self._task.path)

    def tell(self, difference: shadow.Difference) -> None:
        """As a shadow: what another controller did otherwise."""
        assert self._difference is not None
        values, fields = shadow.values(difference), shadow.layout(self._task)
        self._difference.publish(conversions.labelled_to_msg(values, fields))

    def _picture(self, answer: Answer, plan: Plan, path: Callable[[Array, Array], Array]) -> None:
        """The plan for a viewer; costs nothing while nobody looks."""
        watched = [
            publisher
            for publisher in (self._path, self._markers)
            if publisher.get_subscription_count() > 0
        ]
        if not watched or time.monotonic() < self._next_picture:
            return
        self._next_picture = time.monotonic() + PICTURE_PERIOD
        poses = path(answer.observation, plan.states)
        frame, stamp = self._frame, answer.stamp
        if self._path in watched:
            self._path.publish(views.path_to_msg(poses, frame, stamp, self._task.control_period))
        if self._markers in watched:
            level = answer.command.level
            text = f'd0 {plan.d0:g}, worst cost {plan.worst_cost:.2f}, level {level}'
            self._markers.publish(views.markers_to_msg(poses, frame, stamp, level, text))
