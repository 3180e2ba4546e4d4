# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people look at: the plan in a viewer, the health of a node in /diagnostics (REP 107)."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path

from loop_ros.nodes.conversions import time_to_msg
from loop_ros.planar import quaternion_from_yaw
from loop_ros.types import Array

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


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


def status_to_msg(
    name: str, hardware: str, level: bytes, text: str, values: dict[str, Any]
) -> DiagnosticStatus:
    """One status without a stamp."""
    status = DiagnosticStatus(name=name, hardware_id=hardware, level=level, message=text)
    status.values = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
    return status


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
