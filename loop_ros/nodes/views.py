# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people look at: the plan in a viewer, the health of a node in /diagnostics (REP 107)."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PoseStamped
from nav_msgs.msg import Path
from visualization_msgs.msg import Marker, MarkerArray

from loop_ros.nodes.conversions import time_to_msg
from loop_ros.planar import quaternion_from_yaw
from loop_ros.types import Array

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
# Plan, shifted plan, actor, hold, stop.
LEVEL_COLORS = ((0.1, 0.8, 0.2), (0.9, 0.8, 0.1), (0.9, 0.5, 0.1), (0.9, 0.1, 0.1), (0.6, 0.0, 0.6))


def path_to_msg(poses: Array, frame: str, nanoseconds: int, period: float) -> Path:
    """Poses [H+1, 3] of x, y (m), yaw (rad), one control period (s) apart."""
    message = Path()
    message.header.frame_id = frame
    message.header.stamp = time_to_msg(nanoseconds)
    for step, (x, y, yaw) in enumerate(poses.tolist()):
        pose = PoseStamped()
        pose.header.frame_id = frame
        pose.header.stamp = time_to_msg(nanoseconds + round(step * period * 1e9))
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation.z, pose.pose.orientation.w = quaternion_from_yaw(yaw)
        message.poses.append(pose)
    return message


def markers_to_msg(
    poses: Array, frame: str, nanoseconds: int, level: int, text: str
) -> MarkerArray:
    """The plan as a line in the colour of its fallback level, with a caption at its end."""
    line, caption = Marker(ns='plan', id=0), Marker(ns='plan', id=1)
    for marker in (line, caption):
        marker.header.frame_id = frame
        marker.header.stamp = time_to_msg(nanoseconds)
        marker.pose.orientation.w = 1.0
        marker.color.r, marker.color.g, marker.color.b = LEVEL_COLORS[level]
        marker.color.a = 1.0
    line.type = Marker.LINE_STRIP
    line.scale.x = 0.02  # m, width of the line
    line.points = [Point(x=x, y=y) for x, y, _ in poses.tolist()]
    caption.type = Marker.TEXT_VIEW_FACING
    caption.scale.z = 0.1  # m, height of a letter
    caption.text = text
    caption.pose.position.x, caption.pose.position.y = poses[-1, :2].tolist()
    return MarkerArray(markers=[line, caption])


def status_to_msg(
    name: str, hardware: str, level: bytes, text: str, values: dict[str, Any]
) -> DiagnosticStatus:
    """One status without a stamp."""
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=level, message=text)
    status.values = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
    return status


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
