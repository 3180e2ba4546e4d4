# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command as AckermannDriveStamped on `drive`, where ackermann_msgs is installed."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from loop_ros.nodes.conversions import BASE_FRAME, time_to_msg
from loop_ros.sim.task import Task
from loop_ros.types import Array

MESSAGE: Any = None
with contextlib.suppress(ImportError):  # on no package registry; part of a ROS installation
    MESSAGE = importlib.import_module('ackermann_msgs.msg').AckermannDriveStamped


def fits(task: Task) -> bool:
    """Whether the task's command is one of a steered vehicle and the message exists."""
    return MESSAGE is not None and {'wheel_speed', 'steering'} <= set(task.action_labels)


def to_msg(action: Array, task: Task, nanoseconds: int) -> Any:
    """An action [A] as speed (m/s) and steering angle (rad, left positive)."""
    value = dict(zip(task.action_labels, action.tolist(), strict=True))
    message = MESSAGE()
    message.header.frame_id = BASE_FRAME
    message.header.stamp = time_to_msg(nanoseconds)
    message.drive.speed = value['wheel_speed']
    message.drive.steering_angle = value['steering']
    return message
