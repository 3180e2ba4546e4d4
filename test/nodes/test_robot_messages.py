# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages with a place for an action, of every kind that robots are commanded by."""

from __future__ import annotations

import array
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from rover import TASK, robot_file
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header

from loop_ros.nodes.managed import StartError
from loop_ros.nodes.robot_messages import interface, template
from loop_ros.robot import command, description

ACTION = np.array([0.25, -1.5])


class TrajectoryPoint:
    """As trajectory_msgs has it, which is on no package registry."""

    def __init__(self) -> None:
        self.positions, self.velocities = array.array('d'), array.array('d')
        self.time_from_start = Duration()

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        return {
            'positions': 'sequence<double>',
            'velocities': 'sequence<double>',
            'time_from_start': 'builtin_interfaces/Duration',
        }


class Trajectory:
    def __init__(self) -> None:
        self.header, self.joint_names = Header(), list[str]()
        self.points = list[TrajectoryPoint]()

    @classmethod
    def get_fields_and_field_types(cls) -> dict[str, str]:
        return {
            'header': 'std_msgs/Header',
            'joint_names': 'sequence<string>',
            'points': 'sequence<trajectory_msgs/JointTrajectoryPoint>',
        }


@pytest.fixture
def trajectories(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType('trajectory_msgs.msg')
    module.JointTrajectory = Trajectory  # type: ignore[attr-defined]
    module.JointTrajectoryPoint = TrajectoryPoint  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'trajectory_msgs', ModuleType('trajectory_msgs'))
    monkeypatch.setitem(sys.modules, 'trajectory_msgs.msg', module)


def filled(folder: Path, kind: str, speed: str, turn: str, more: str = '') -> Any:
    """A message of a type with ACTION in it; it comes back out, too."""
    text = f'{{topic: c, type: {kind}, {more} fields: {{speed: {speed}, turn: {turn}}}}}'
    output = description.load(robot_file(folder, command=text)).command
    message = template(output, 1.25, 'robot.yaml:9')
    command.encode(output.components, ACTION, message)
    np.testing.assert_allclose(command.decode(output.components, message, TASK), ACTION)
    return message


def test_twists(tmp_path: Path) -> None:
    found = filled(tmp_path, 'geometry_msgs/Twist', '{field: linear.x}', '{field: angular.z}')
    assert isinstance(found, Twist) and (found.linear.x, found.angular.z) == (0.25, -1.5)
    found = filled(
        tmp_path, 'geometry_msgs/msg/TwistStamped', '{field: twist.linear.x}',
        '{field: twist.angular.z, unit: deg/s}', 'frame: base,',
    )  # fmt: skip
    assert isinstance(found, TwistStamped) and found.header.frame_id == 'base'
    assert found.twist.angular.z == pytest.approx(-85.94, abs=0.01)


def test_an_array_of_ros2_control(tmp_path: Path) -> None:
    found = filled(
        tmp_path, 'std_msgs/msg/Float64MultiArray', "{field: 'data[2]'}",
        "{field: 'data[0]', scale: 2, offset: 1}",
    )  # fmt: skip
    assert isinstance(found, Float64MultiArray) and list(found.data) == [-2.0, 0.0, 0.25]


def test_joints_by_name(tmp_path: Path) -> None:
    found = filled(
        tmp_path, 'sensor_msgs/msg/JointState', "{field: 'velocity[wheel]'}",
        "{field: 'velocity[steer]'}",
    )  # fmt: skip
    assert isinstance(found, JointState) and list(found.name) == ['wheel', 'steer']
    assert list(found.velocity) == [0.25, -1.5] and not found.position


def test_a_trajectory_is_due_after_a_period(tmp_path: Path, trajectories: None) -> None:
    found = filled(
        tmp_path, 'trajectory_msgs/msg/JointTrajectory', "{field: 'points[0].positions[elbow]'}",
        "{field: 'points[0].positions[wrist]'}",
    )  # fmt: skip
    assert isinstance(found, Trajectory) and found.joint_names == ['elbow', 'wrist']
    (point,) = found.points
    assert list(point.positions) == [0.25, -1.5]
    assert point.time_from_start == Duration(sec=1, nanosec=250_000_000)


def test_a_pose(tmp_path: Path) -> None:
    found = filled(
        tmp_path, 'geometry_msgs/msg/PoseStamped', '{field: pose.position.x}',
        '{field: pose.orientation.yaw}',
    )  # fmt: skip
    assert isinstance(found, PoseStamped)
    assert found.pose.orientation.z == pytest.approx(np.sin(-0.75))


@pytest.mark.parametrize(
    ('kind', 'field', 'said'),
    [
        ('ackermann/msg/Drive', 'x', 'install the package ackermann and source its setup'),
        ('geometry_msgs/msg/Twists', 'x', "no 'geometry_msgs/msg/Twists' here"),
        ('geometry_msgs/msg/Twist', 'speed', "'speed': no field 'speed' in Twist"),
        ('geometry_msgs/msg/Twist', "'linear[elbow]'", 'no names of joints'),
    ],
)
def test_what_has_no_place_for_an_action(tmp_path: Path, kind: str, field: str, said: str) -> None:
    with pytest.raises(StartError, match=f'robot.yaml:9: .*{said}'):
        filled(tmp_path, kind, f'{{field: {field}}}', '{field: angular.z}')


@pytest.mark.parametrize(
    ('kind', 'field'), [('geometry_msgs/msg/Twist', 'linear'), ('std_msgs/msg/Int32', 'data')]
)
def test_a_field_that_takes_no_such_number(tmp_path: Path, kind: str, field: str) -> None:
    with pytest.raises(StartError, match='robot.yaml:9'):
        filled(tmp_path, kind, f'{{field: {field}}}', f'{{field: {field}}}')


def test_a_service_by_its_name() -> None:
    assert interface('std_srvs/srv/Empty', '').Request
