# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A vehicle with topics of its own, its robot file, and what it says in a bag."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bag_files import ARRAY, ODOMETRY, SECOND, TASK, Message, cdr, labelled, odometry

from loop_ros.robot import description
from loop_ros.types import Array

START = 1000 * SECOND
PERIOD = TASK.control_period
ROBOT = """
task: drift_car
inputs:
  odom:
    topic: /vehicle/odometry
    type: nav_msgs/msg/Odometry
    max_age: {max_age}
    child_frame: {child_frame}
observation:
  x: {{input: odom, field: pose.pose.position.x}}
  y: {{input: odom, field: pose.pose.position.y}}
  yaw: {{input: odom, field: pose.pose.orientation.yaw}}
  v_x: {{input: odom, field: twist.twist.linear.x}}
  v_y: {{input: odom, field: twist.twist.linear.y}}
  yaw_rate: {{input: odom, field: twist.twist.angular.z}}
command:
  topic: {command}
  type: std_msgs/msg/Float64MultiArray
  on_silence: {on_silence}
  fields:
    wheel_speed: {{field: 'data[1]', scale: 0.5}}
    steering: {{field: 'data[0]'}}
"""


def robot(folder: Path, **changes: Any) -> description.Robot:
    values = {'max_age': 0.06, 'child_frame': 'base_link', 'command': '/commands'}
    file = folder / 'robot.yaml'
    file.write_text(ROBOT.format(**{**values, 'on_silence': 'hold', **changes}))
    return description.load(file)


def state(time: float) -> Array:
    """What the odometry says at a time (s): numbers that tell it."""
    return np.array([time, -time, 0.01 * time, 1.0, 0.1, 0.01 * time])


def states(rate: float, duration: float, gap: tuple[float, float] = (0, 0)) -> Iterator[Message]:
    for number in range(round(duration * rate)):
        time = number / rate
        if not gap[0] <= time < gap[1]:
            stamp = START + round(time * SECOND)
            yield '/vehicle/odometry', ODOMETRY, stamp, odometry(state(time), stamp)


def commands(*given: tuple[float, float]) -> Iterator[Message]:
    """At a time (s) a wheel speed (m/s), of which the robot is told half."""
    for time, speed in given:
        data = cdr(labelled(np.array([0.1, 0.5 * speed]), []), ARRAY)
        yield '/commands', ARRAY, START + round(time * SECOND), data
