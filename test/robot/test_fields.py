# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers by their place in a message."""

from __future__ import annotations

import array
import math
from types import SimpleNamespace as Message

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rover import goal, odometry, scan

from loop_ros.robot.fields import Field, Sectors, relative

JOINTS = Message(
    name=['gripper', 'elbow', 'wrist'],
    position=array.array('d', [0.1, 0.2, 0.3]),
    velocity=np.array([1.0, 2.0, 3.0]),
    effort=[],
)


@pytest.mark.parametrize(
    ('path', 'expected'),
    [('position[elbow]', 0.2), ('velocity[wrist]', 3.0), ('position[0]', 0.1)],
)
def test_joints_are_found_by_name_or_number(path: str, expected: float) -> None:
    assert Field(path).read(JOINTS) == expected


@pytest.mark.parametrize(
    ('path', 'reason'),
    [
        ('position[knee]', r"'position\[knee\]': names \['gripper', 'elbow', 'wrist'\]"),
        ('effort[elbow]', 'effort.*0 values, no number 1'),
        ('pose.x', "no field 'pose'"),
        ('name', 'is a list, not a number'),
    ],
)
def test_what_is_not_there_is_named(path: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Field(path).read(JOINTS)


@pytest.mark.parametrize('path', ['', '.', 'a..b', 'a[', 'a[]', '1a', 'a b', 'a[b]c'])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match='is no path of fields'):
        Field(path)


@given(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_roll_pitch_and_yaw_of_a_quaternion(roll: float, pitch: float, yaw: float) -> None:
    """Turned about x, then y, then z, by hand."""

    def half(angle: float) -> tuple[float, float]:
        return math.cos(angle / 2), math.sin(angle / 2)

    (cr, sr), (cp, sp), (cy, sy) = half(roll), half(pitch), half(yaw)
    q = Message(
        w=cr * cp * cy + sr * sp * sy,
        x=sr * cp * cy - cr * sp * sy,
        y=cr * sp * cy + sr * cp * sy,
        z=cr * cp * sy - sr * sp * cy,
    )
    for name, angle in (('roll', roll), ('pitch', pitch), ('yaw', yaw)):
        assert Field(f'q.{name}').read(Message(q=q)) == pytest.approx(angle, abs=1e-5)


def test_a_quaternion_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match='norm 0, expected 1'):
        Field('q.yaw').read(Message(q=Message(x=0.0, y=0.0, z=0.0, w=0.0)))


@given(st.floats(-1e6, 1e6, allow_nan=False))
def test_what_was_written_is_read(value: float) -> None:
    message = Message(
        twist=Message(linear=Message(x=0.0)),
        data=array.array('d', [0.0, 0.0]),
        joint_names=['a', 'b'],
        points=[Message(positions=[0.0, 0.0])],
    )
    for path in ('twist.linear.x', 'data[1]', 'points[0].positions[b]'):
        Field(path).write(message, value)
        assert Field(path).read(message) == value
    assert message.data[0] == 0.0 and message.points[0].positions[0] == 0.0


def test_sectors_take_the_nearest_and_know_what_is_no_range() -> None:
    """Three sectors of four rays; farthest 5 m; least range 0.05 m, most 30 m."""
    inf, nan = math.inf, math.nan
    ranges = [2.0, 1.0, nan, 3.0, inf, inf, 7.0, 31.0, -inf, 4.0, 0.01, nan]
    found = Sectors(3, -1.5, 1.5, farthest=5.0).read(scan(ranges))
    np.testing.assert_array_equal(found, [1.0, 5.0, 0.05])


def test_a_sector_without_a_usable_range_is_named() -> None:
    with pytest.raises(ValueError, match=r'sector 1 of 3, -0.5 to 0.5 rad, has no usable range'):
        Sectors(3, -1.5, 1.5).read(scan([1.0, 1.0, math.nan, math.nan, 2.0, 2.0]))
    with pytest.raises(ValueError, match=r'sector 0 of 4'):  # it does not look that far
        Sectors(4, -math.pi, math.pi).read(scan([1.0] * 20))
    with pytest.raises(ValueError, match='the scan is empty'):
        Sectors(1).read(scan([]))


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-3, 3), st.floats(-5, 5), st.floats(-5, 5))
def test_a_pose_seen_from_another(
    x: float, y: float, yaw: float, there_x: float, there_y: float
) -> None:
    seen = relative(goal(there_x, there_y), odometry(x, y, yaw))
    back_x = x + math.cos(yaw) * seen['x'] - math.sin(yaw) * seen['y']
    back_y = y + math.sin(yaw) * seen['x'] + math.cos(yaw) * seen['y']
    assert (back_x, back_y) == pytest.approx((there_x, there_y), abs=1e-9)
    assert seen['yaw'] == pytest.approx(-yaw, abs=1e-9)
