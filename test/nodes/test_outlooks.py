# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What else a search knew, over ROS: planner/outlook and ~/what_if of the node as a process."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_robot import CAR, OBSERVATION, Robot, module_planner
from stack import Process, until
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes import qos
from loop_ros.nodes.conversions import telemetry_from_msg
from loop_ros.nodes.outlook_message import from_msg, to_msg
from loop_ros.outlook import OutlookView

planner = module_planner(what_if='[0.0,0.5,8.0]', num_samples=16)


@pytest.mark.slow
def test_plan_and_alternatives_are_published_with_where_they_lead(
    planner: tuple[Process, Robot],
) -> None:
    _, robot = planner
    heard = robot.hear(Float64MultiArray, 'planner/outlook', qos.VIEW)
    until(lambda: heard or not robot.drive(), 10, 'an outlook')
    seen = from_msg(heard[-1], CAR)
    told = [t for t in map(telemetry_from_msg, list(robot.telemetry)) if t['stamp'] == seen.stamp]
    assert seen.returns[0] == pytest.approx(told[0]['predicted_return'], rel=1e-4)
    assert seen.costs[0] == pytest.approx(told[0]['worst_cost'], abs=1e-5)
    assert seen.d0 == told[0]['d0'] and seen.heeded == 1.0
    assert seen.thresholds.tolist() == [0.0, 0.5, 8.0]
    assert (np.diff(seen.safe_fractions) >= 0).all()
    assert len(seen.returns) == 1 + 3 + 16  # fewer candidates than are shown at most
    np.testing.assert_allclose(seen.poses[:, 0, :2], np.tile(OBSERVATION[:2], (20, 1)), atol=1e-5)


@pytest.mark.slow
def test_what_if_says_it_in_words(planner: tuple[Process, Robot]) -> None:
    _, robot = planner
    robot.drive()
    lines = until(lambda: robot.trigger('what_if'), 5, 'an answer').splitlines()
    assert lines[0].startswith('now, d0 = ')
    assert [line.partition(':')[0] for line in lines[1:]] == ['d0 = 0', 'd0 = 0.5', 'd0 = 8']
    assert all('of the sequences are safe; return ' in line for line in lines[1:])
    assert all('wheel_speed' in line and 'steering' in line for line in lines)


@given(several=st.integers(1, 20), others=st.integers(0, 30), horizon=st.integers(1, 9),
       plane=st.booleans())  # fmt: skip
def test_an_outlook_survives_the_wire(several: int, others: int, horizon: int, plane: bool) -> None:
    num, rng = 1 + several + others, np.random.default_rng(0)
    sent = OutlookView(
        1.5, 0.2, 1.0, *map(rng.random, (several, several, num, num)),
        rng.random((num, 2)), rng.random((num, horizon)),
        rng.random((num, horizon + 1, 3)) if plane else np.zeros((num, 0, 3)),
    )  # fmt: skip
    got = from_msg(to_msg(sent), CAR)
    for name, one, two in zip(sent._fields, sent, got, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert len(got.returns[got.alternatives]) == several
    assert len(got.returns[got.candidates]) == others


def test_an_outlook_of_another_robot_is_refused() -> None:
    sent = OutlookView(0.0, 0.2, 1.0, *np.zeros((2, 1)), *np.zeros((2, 2)), np.zeros((2, 2)),
                       np.zeros((2, 3)), np.zeros((2, 0, 3)))  # fmt: skip
    other = dataclasses.replace(CAR, action_labels=('a',), action_interfaces=('effort',),
                                action_low=(-1,), action_high=(1,), safe_command=(0,))  # fmt: skip
    with pytest.raises(ValueError, match="field 7 is 'actions' of length 4"):
        from_msg(to_msg(sent), other)
