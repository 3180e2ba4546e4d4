# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the right type with any contents: usable, or refused with a ValueError."""

from __future__ import annotations

import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from planner_robot import OBSERVATION, start
from sensor_msgs.msg import JointState
from stack import make_checkpoint, until
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from loop_ros import layout
from loop_ros.nodes import conversions, views
from loop_ros.sim import registry

CAR = registry.task('drift_car')
LIMIT = layout.LARGEST
EXTREMES = [0.0, -0.0, 1.0, 1e-320, 1e17, 1e19, -1e200, 1.8e308, float('inf'), float('nan')]
NUMBERS = st.one_of(st.sampled_from(EXTREMES), st.floats())
STAMPS = st.builds(
    Time,
    sec=st.sampled_from([-(2**31), -1, 0, 2**31 - 1]) | st.integers(-(2**31), 2**31 - 1),
    nanosec=st.sampled_from([0, 10**9, 2**32 - 1]) | st.integers(0, 2**32 - 1),
)
enough = settings(max_examples=80)


def usable(values: Any, size: int) -> None:
    assert values.shape == (size,)
    assert (np.abs(values) <= LIMIT).all()


@enough
@given(data=st.data())
def test_odometry(data: st.DataObject) -> None:
    message = Odometry(child_frame_id='base_link')
    message.header.frame_id = data.draw(st.sampled_from(['odom', 'odom', 'map', '']))
    message.header.stamp = data.draw(STAMPS)
    turned = data.draw(st.booleans())
    q = message.pose.pose.orientation
    q.w, q.z = (0.6, 0.8) if turned else (data.draw(NUMBERS), data.draw(NUMBERS))
    q.x, q.y = (0.0, 0.0) if turned else (data.draw(NUMBERS), data.draw(NUMBERS))
    place, twist = message.pose.pose.position, message.twist.twist
    place.x, place.y, twist.linear.x, twist.angular.z = (data.draw(NUMBERS) for _ in range(4))
    try:
        usable(conversions.odometry_from_msg(message, CAR), 6)
    except ValueError as error:
        assert any(word in str(error) for word in ('frame_id', 'orientation', 'odometry'))


@enough
@given(data=st.data())
def test_states_and_commands(data: st.DataObject) -> None:
    for labels, read in (
        (CAR.observation_labels, conversions.state_from_msg),
        (CAR.action_labels, conversions.command_from_msg),
    ):
        names = list(labels)
        if data.draw(st.booleans()):
            names = data.draw(st.lists(st.sampled_from([*labels, '', 'ü']), max_size=8))
        columns = {
            field: data.draw(st.lists(NUMBERS, min_size=size, max_size=size))
            for field in ('position', 'velocity', 'effort')
            for size in (data.draw(st.sampled_from([len(names), len(names), 0, 1])),)
        }
        message = JointState(name=names, **columns)
        try:
            usable(read(message, CAR), len(labels))
        except ValueError:
            continue


@enough
@given(data=st.data())
def test_transitions_and_telemetry(data: st.DataObject) -> None:
    fields = layout.transition_layout(CAR).fields
    size = sum(length for _, length in fields)
    numbers = data.draw(st.lists(NUMBERS, min_size=size, max_size=size))
    if data.draw(st.booleans()):
        numbers = data.draw(st.lists(NUMBERS, max_size=size + 3))
    message = Float64MultiArray(data=array.array('d', numbers))
    message.layout.dim = [
        MultiArrayDimension(label=label, size=length, stride=length) for label, length in fields
    ]
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(fields) - 1))
        message.layout.dim[place].size = data.draw(st.sampled_from([0, 1, 2**31, 2**32 - 1]))
    message.layout.data_offset = data.draw(st.sampled_from([0, 0, 1, 2**32 - 1]))
    try:
        found = conversions.transition_from_msg(message, CAR)
    except ValueError:
        pass
    else:
        assert found.episode >= 0 and found.step >= 0
        if found.is_finite():
            usable(found.observation, 6)
    with pytest.raises(ValueError, match='field|numbers'):
        conversions.telemetry_from_msg(message)


@enough
@given(stamp=STAMPS)
def test_an_answer_to_any_stamp_can_be_sent(stamp: Time) -> None:
    nanoseconds = conversions.time_from_msg(stamp)
    again = conversions.time_to_msg(nanoseconds)
    if -(2**31) <= nanoseconds // 10**9 < 2**31:
        assert conversions.time_from_msg(again) == nanoseconds
    poses = np.zeros((9, 3))
    path = views.path_to_msg(poses, 'odom', nanoseconds, CAR.control_period)
    assert len(path.poses) == 9
    conversions.command_to_msg(np.zeros(2), CAR, nanoseconds)


@pytest.mark.slow
def test_a_planner_outlives_what_it_hears(ros_domain: int, tmp_path: Path) -> None:
    process, robot = start(make_checkpoint(tmp_path / 'c'), tmp_path / 'log')
    try:
        message = conversions.odometry_to_msg(OBSERVATION, CAR, 0)
        message.header.stamp = Time(sec=2**31 - 1, nanosec=2**32 - 1)
        robot.state.publish(message)
        until(lambda: robot.commands, 10, 'an answer to a stamp that is none')
        message.pose.pose.orientation.w = 1e200
        robot.state.publish(message)
        process.wait_for('pose.orientation has the norm 1e+200, expected 1')
        assert robot.drive()['level'] == 0
        assert process.interrupt() == 0
    finally:
        robot.close()
        process.kill()
