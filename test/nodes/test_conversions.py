# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages and numpy: what goes in comes out, and what is unusable says why."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_ros import layout
from loop_ros.nodes import conversions, drive, views
from loop_ros.sim import registry
from loop_ros.sim.task import Task
from loop_ros.types import PlanMetrics, Transition

CAR = registry.task('drift_car')
VECTOR = dataclasses.replace(CAR, odometry=False)
number = st.floats(-1e6, 1e6)
anything = st.floats(width=64)
stamps = st.integers(0, 2**31 * 10**9 - 1)


def vectors(size: int, elements: st.SearchStrategy[float] = number) -> st.SearchStrategy:
    return st.lists(elements, min_size=size, max_size=size).map(np.array)


@st.composite
def transitions(draw: st.DrawFn, task: Task = CAR) -> Transition:
    size, actions = len(task.observation_labels), len(task.action_labels)
    return Transition(
        stamp=draw(st.floats(0, 1e9)),
        episode=draw(st.integers(0, 2**40)),
        step=draw(st.integers(0, 2**40)),
        observation=draw(vectors(size)),
        action=draw(vectors(actions)),
        reward=draw(number),
        cost=draw(st.floats(0, 1e6)),
        next_observation=draw(vectors(size)),
        terminated=draw(st.booleans()),
        truncated=draw(st.booleans()),
    )


@given(stamps)
def test_stamps_keep_every_nanosecond(stamp: int) -> None:
    assert conversions.time_from_msg(conversions.time_to_msg(stamp)) == stamp


@given(st.permutations(CAR.observation_labels), st.integers(1, 6), vectors(6), stamps)
def test_odometry_of_some_labels_in_any_order(
    labels: list[str], count: int, observation: np.ndarray, stamp: int
) -> None:
    """The robot observes only what its labels say; what it has not is 0 on the way out."""
    task = dataclasses.replace(CAR, observation_labels=labels[:count])
    own = np.mod(observation[:count], 3.0)  # also a yaw that comes back as it is
    message = conversions.odometry_to_msg(own, task, stamp)
    np.testing.assert_allclose(conversions.odometry_from_msg(message, task), own, atol=1e-12)
    whole = conversions.odometry_from_msg(message, CAR)
    assert all(whole[CAR.observation_labels.index(label)] == 0 for label in labels[count:])


def test_an_orientation_that_is_not_observed_need_not_be_one() -> None:
    message = conversions.odometry_to_msg(np.zeros(6), CAR, 0)
    message.pose.pose.orientation.w = 0.0  # as drivers without a compass leave it
    with pytest.raises(ValueError, match='norm'):
        conversions.odometry_from_msg(message, CAR)
    task = dataclasses.replace(CAR, observation_labels=('v_x', 'yaw_rate'))
    assert conversions.odometry_from_msg(message, task).tolist() == [0.0, 0.0]


@given(vectors(6), stamps)
def test_odometry_round_trip(observation: np.ndarray, stamp: int) -> None:
    message = conversions.odometry_to_msg(observation, CAR, stamp)
    found = conversions.odometry_from_msg(message, CAR)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(found[others], observation[others])
    turns = (found[2] - observation[2]) / (2 * math.pi)
    assert abs(turns - round(turns)) < 1e-9
    assert (message.header.frame_id, message.child_frame_id) == ('odom', 'base_link')
    assert conversions.time_from_msg(message.header.stamp) == stamp


def test_odometry_reads_the_yaw_of_a_tilted_pose() -> None:
    roll, yaw = 0.2, 0.7
    message = conversions.odometry_to_msg(np.zeros(6), CAR, 0)
    q = message.pose.pose.orientation
    q.x, q.y = math.cos(yaw / 2) * math.sin(roll / 2), math.sin(yaw / 2) * math.sin(roll / 2)
    q.z, q.w = math.sin(yaw / 2) * math.cos(roll / 2), math.cos(yaw / 2) * math.cos(roll / 2)
    assert conversions.odometry_from_msg(message, CAR)[2] == pytest.approx(yaw)


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda m: setattr(m.header, 'frame_id', 'map'), "is 'map', .* the parameter odom_frame"),
        (
            lambda m: setattr(m, 'child_frame_id', 'base_footprint'),
            "'base_footprint', expected 'base_link': the parameter base_frame names it",
        ),
        (lambda m: setattr(m, 'child_frame_id', 'odom'), "'base_link': a twist in the world's"),
        (lambda m: setattr(m, 'child_frame_id', ''), 'child_frame_id'),
        (lambda m: setattr(m.pose.pose.orientation, 'w', 0.5), 'orientation has the norm 0.5'),
        (lambda m: setattr(m.pose.pose.orientation, 'w', math.nan), 'orientation'),
        (lambda m: setattr(m.pose.pose.position, 'y', math.inf), "'y' is inf"),
        (lambda m: setattr(m.twist.twist.angular, 'z', math.nan), "'yaw_rate' is nan"),
    ],
)
def test_odometry_says_what_is_wrong(spoil, reason: str) -> None:
    message = conversions.odometry_to_msg(np.zeros(6), CAR, 0)
    spoil(message)
    with pytest.raises(ValueError, match=reason):
        conversions.odometry_from_msg(message, CAR)


@given(vectors(6), st.randoms(use_true_random=False))
def test_state_is_read_by_name(observation: np.ndarray, rng: random.Random) -> None:
    message = conversions.state_to_msg(observation, VECTOR, 5)
    order = list(range(6))
    rng.shuffle(order)
    message.name = [message.name[i] for i in order]
    message.position = [message.position[i] for i in order]
    np.testing.assert_array_equal(conversions.state_from_msg(message, VECTOR), observation)


@given(vectors(2), st.booleans())
def test_command_is_read_by_name(action: np.ndarray, swap: bool) -> None:
    message = conversions.command_to_msg(action, CAR, 7)
    assert math.isnan(message.position[0]) and math.isnan(message.velocity[1])
    if swap:
        message.name.reverse()
        message.position.reverse()
        message.velocity.reverse()
    np.testing.assert_array_equal(conversions.command_from_msg(message, CAR), action)


@pytest.mark.parametrize(
    ('spoil', 'reason'),
    [
        (lambda m: m.name.__setitem__(0, 'throttle'), "names are .*'throttle'"),
        (lambda m: m.name.append('horn'), "'horn'"),
        (lambda m: setattr(m, 'velocity', []), 'velocity has 0 values for 2 names'),
        (lambda m: m.velocity.__setitem__(0, math.nan), "'wheel_speed' is nan"),
        (lambda m: m.position.__setitem__(1, -math.inf), "'steering' is -inf"),
    ],
)
def test_command_says_what_is_wrong(spoil, reason: str) -> None:
    message = conversions.command_to_msg(np.array([1.0, 0.1]), CAR, 0)
    spoil(message)
    with pytest.raises(ValueError, match=reason):
        conversions.command_from_msg(message, CAR)


@given(transitions())
def test_transition_round_trip(transition: Transition) -> None:
    message = conversions.transition_to_msg(transition, CAR)
    found = conversions.transition_from_msg(message, CAR)
    for field in dataclasses.fields(Transition):
        np.testing.assert_array_equal(
            getattr(found, field.name), getattr(transition, field.name), field.name
        )
        assert type(getattr(found, field.name)) is type(getattr(transition, field.name))


def test_transition_labels_name_every_number() -> None:
    labels = [label for label, _ in layout.transition_layout(CAR).fields]
    assert labels[3] == 'observation:x,y,yaw,v_x,v_y,yaw_rate'
    assert labels[4] == 'action:wheel_speed,steering'


@given(vectors(21, anything), st.integers(0, 20))
def test_any_numbers_give_a_transition_or_a_reason(values: np.ndarray, cut: int) -> None:
    message = conversions.labelled_to_msg(values, layout.transition_layout(CAR).fields)
    try:
        conversions.transition_from_msg(message, CAR)
    except ValueError as error:
        assert 'field' in str(error)
    message.data = message.data[:cut]
    with pytest.raises(ValueError, match='numbers, expected 21'):
        conversions.transition_from_msg(message, CAR)


def test_transition_with_other_labels_is_refused() -> None:
    message = conversions.labelled_to_msg(np.zeros(21), layout.transition_layout(CAR).fields)
    message.layout.dim[4].label = 'action:steering,wheel_speed'
    with pytest.raises(ValueError, match="field 4 is 'action:steering,wheel_speed'"):
        conversions.transition_from_msg(message, CAR)
    del message.layout.dim[4:]
    with pytest.raises(ValueError, match='4 labelled fields, expected 10'):
        conversions.transition_from_msg(message, CAR)


@given(st.binary(max_size=3000))
def test_weights_round_trip(data: bytes) -> None:
    assert conversions.weights_from_msg(conversions.weights_to_msg(data)) == data


def test_telemetry_without_a_plan_is_nan() -> None:
    found = conversions.telemetry_from_msg(conversions.telemetry_to_msg({'stamp': 1.5, 'level': 3}))
    assert found['stamp'] == 1.5 and found['level'] == 3
    assert all(math.isnan(found[name]) for name in PlanMetrics.names())


def test_plan_pictures() -> None:
    poses = np.array([[1.0, 0.0, 1.5], [1.0, 0.1, 1.6], [0.9, 0.2, 1.7]])
    path = views.path_to_msg(poses, 'odom', 10**9, 0.035)
    assert [p.pose.position.x for p in path.poses] == [1.0, 1.0, 0.9]
    assert conversions.time_from_msg(path.poses[2].header.stamp) == 1_070_000_000


def test_drive_is_offered_only_where_the_message_exists() -> None:
    pytest.importorskip('ackermann_msgs')
    assert drive.fits(CAR)
    message = drive.to_msg(np.array([3.0, -0.2]), CAR, 0)
    assert message.drive.speed == 3.0 and message.drive.steering_angle == pytest.approx(-0.2)
