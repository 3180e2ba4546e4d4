# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a viewer gets of a planner that runs, with the quality of service that viewers ask for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ears import Ears
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Path
from planner_robot import OBSERVATION, Robot, module_planner
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from stack import Process, until
from std_msgs.msg import Float64
from visualization_msgs.msg import Marker, MarkerArray

from loop_ros.layout import TELEMETRY_FIELDS
from loop_ros.nodes import conversions

pytestmark = pytest.mark.slow
planner = module_planner(state_timeout=5.0, d0=1)
RVIZ = QoSProfile(
    history=HistoryPolicy.KEEP_LAST,
    depth=5,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.VOLATILE,
)
LATE = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
MARKERS = ('plan_markers', 'world_markers', 'candidate_markers')


class Viewer(Ears):
    """Shows what RViz would show: markers by topic, namespace and number."""

    def __init__(self, profile: QoSProfile) -> None:
        super().__init__('viewer')
        self.paths = self.hear(Path, 'plan', profile)
        self.heard = {topic: self.hear(MarkerArray, topic, profile) for topic in MARKERS}

    def shown(self) -> dict[tuple[str, str, int], Marker]:
        found: dict[tuple[str, str, int], Marker] = {}
        for topic, heard in self.heard.items():
            for message in list(heard):
                for marker in message.markers:
                    key = topic, marker.ns, marker.id
                    if marker.action == Marker.ADD:
                        found[key] = marker
                    else:
                        found.pop(key, None)
        return found

    def names(self) -> set[str]:
        return {name for _, name, _ in self.shown()}

    def caption(self) -> str:
        return self.shown()['plan_markers', 'caption', 0].text


@pytest.fixture(scope='module')
def viewer(planner: tuple[Process, Robot]):
    found = Viewer(RVIZ)
    yield found
    found.close()


def test_rviz_by_its_defaults_gets_path_and_markers(
    planner: tuple[Process, Robot], viewer: Viewer
) -> None:
    _, robot = planner

    def everything() -> bool:
        robot.drive()
        return {'plan', 'caption', 'robot', 'track', 'worst_cost'} <= viewer.names()

    until(everything, 20, 'a picture')
    shown = viewer.shown()
    line = shown['plan_markers', 'plan', 0]
    assert line.header.frame_id == 'odom' and len(line.points) == 9
    assert (line.points[0].x, line.points[0].y) == pytest.approx(OBSERVATION[:2], abs=1e-6)
    body = shown['world_markers', 'robot', 0]
    assert (body.pose.position.x, body.pose.position.y) == pytest.approx(OBSERVATION[:2])
    assert 2 * math.atan2(body.pose.orientation.z, body.pose.orientation.w) == pytest.approx(
        OBSERVATION[2]
    )
    rings = [m for (_, name, _), m in shown.items() if name == 'track']
    radii = sorted(max(p.x for p in ring.points) for ring in rings)
    assert radii == pytest.approx([1.0, 1.2])
    # Plan, candidates and robot are of one moment.
    until(lambda: robot.drive() and len(viewer.paths[-1].poses) == 9, 10, 'a path')
    fan = viewer.heard['candidate_markers'][-1].markers
    assert {m.header.stamp.nanosec for m in fan} <= {
        m.markers[0].header.stamp.nanosec for m in viewer.heard['plan_markers']
    }


def test_a_figure_is_what_the_telemetry_says(planner: tuple[Process, Robot]) -> None:
    _, robot = planner
    heard = {
        name: robot.hear(Float64, f'planner/telemetry/{name}', 10) for name in TELEMETRY_FIELDS
    }
    until(lambda: robot.drive() and all(heard.values()), 10, 'figures')
    for _ in range(5):
        robot.drive()
    told = [conversions.telemetry_from_msg(m) for m in list(robot.telemetry)][-5:]
    until(lambda: heard['stamp'][-1].data == told[-1]['stamp'], 5, 'the last figure')
    for name, figures in heard.items():
        got = [message.data for message in figures][-5:]
        np.testing.assert_array_equal(got, [each[name] for each in told], err_msg=name)


def test_a_stop_takes_the_plan_away_and_says_why(
    planner: tuple[Process, Robot], viewer: Viewer
) -> None:
    _, robot = planner
    until(lambda: robot.drive() and 'plan' in viewer.names(), 10, 'a plan')
    before = viewer.shown()['world_markers', 'robot', 0].color
    robot.trigger('stop')
    until(lambda: viewer.names() == {'caption', 'robot', 'track'}, 5, 'the plan to go')
    assert viewer.caption() == 'stop: operator stop'
    assert viewer.paths[-1].poses == []
    assert viewer.shown()['world_markers', 'robot', 0].color != before
    robot.trigger('reset')
    until(lambda: robot.drive() and 'plan' in viewer.names(), 10, 'the plan to come back')
    assert viewer.caption().startswith('d0 1, worst cost ')
    assert viewer.shown()['world_markers', 'robot', 0].color == before


def test_who_comes_late_sees_the_last_word(planner: tuple[Process, Robot], viewer: Viewer) -> None:
    """A planner that is deactivated draws nothing more."""
    _, robot = planner
    until(lambda: robot.drive() and 'plan' in viewer.names(), 10, 'a plan')
    request = ChangeState.Request()
    request.transition.id = 4
    assert robot.call(ChangeState, '/planner/change_state', request).success
    late = Viewer(LATE)
    try:
        until(lambda: late.paths and all(late.heard.values()), 10, 'the last messages')
        assert late.caption() == 'stop: the planner leaves'
        assert late.names() == {'caption', 'robot', 'track'}
        assert late.paths[-1].poses == []
    finally:
        late.close()
