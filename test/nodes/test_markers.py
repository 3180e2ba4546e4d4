# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in the markers, without a node."""

from __future__ import annotations

import numpy as np
import pytest
from visualization_msgs.msg import Marker, MarkerArray

from loop_ros.control.supervisor import ACTOR, HOLD, PLAN, SHIFTED, STOP
from loop_ros.nodes import markers
from loop_ros.outlook import OutlookView
from loop_ros.sim import registry
from loop_ros.sim.drawing import Circle, Drawing

CAR = registry.task('drift_car')
WHERE = markers.header('odom', 1_500_000_000)
POSES = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])


def by_name(message: MarkerArray) -> dict[str, Marker]:
    return {marker.ns: marker for marker in message.markers}


def colour(marker: Marker) -> tuple[float, ...]:
    return tuple(round(getattr(marker.color, part), 5) for part in 'rgba')


@pytest.mark.parametrize('level', [PLAN, SHIFTED, ACTOR, HOLD, STOP])
def test_a_plan_is_a_line_where_one_drives(level: int) -> None:
    drives = level in (PLAN, SHIFTED)
    poses = POSES if drives else POSES[:0]
    found = by_name(markers.plan(WHERE, poses, POSES[1], level, 'why', 1.5))
    line, caption = found['plan'], found['caption']
    assert line.action == (Marker.ADD if drives else Marker.DELETE)
    assert [(p.x, p.y) for p in line.points] == ([(0, 0), (1, 0), (2, 0)] if drives else [])
    assert (line.lifetime.sec, line.lifetime.nanosec) == ((1, 500_000_000) if drives else (0, 0))
    assert caption.text == 'why' and caption.pose.position.x == 1.0
    assert (caption.lifetime.sec, caption.lifetime.nanosec) == (0, 0)  # a stop stays
    assert line.header.frame_id == 'odom' and line.header.stamp.sec == 1


def test_each_level_has_a_colour_of_its_own() -> None:
    colours = set()
    for level in (PLAN, SHIFTED, ACTOR, HOLD, STOP):
        body = markers.world(WHERE, Drawing(), POSES[0], (), level).markers[0]
        assert body.ns == 'robot' and body.type == Marker.CUBE
        colours.add(colour(body))
    assert len(colours) == 5


def test_the_world_is_what_the_task_says() -> None:
    drawing = Drawing(circles=(Circle(2.0, x=1.0, limit=True),), robot=(0.5, 0.3))
    seen = (Circle(0.3, 4.0, 5.0, goal=True), Circle(0.2, limit=True))
    message = markers.world(WHERE, drawing, np.array([1.0, 2.0, np.pi / 2]), seen, PLAN)
    body, nose, ring, goal, hazard = message.markers
    assert (body.pose.position.x, body.pose.position.y) == (1.0, 2.0)
    assert (body.scale.x, body.scale.y) == (0.5, 0.3)
    assert nose.pose.orientation.z == pytest.approx(np.sqrt(0.5))
    away = [np.hypot(p.x - 1.0, p.y) for p in ring.points]
    np.testing.assert_allclose(away, 2.0)
    assert (goal.scale.x, goal.pose.position.x, goal.pose.position.y) == (0.6, 4.0, 5.0)
    assert colour(ring) == colour(hazard) != colour(goal)
    assert len({(m.ns, m.id) for m in message.markers}) == 5
    fewer = markers.world(WHERE, drawing, POSES[0], seen[:1], PLAN, before=2).markers[-1]
    assert (fewer.ns, fewer.id, fewer.action) == (hazard.ns, hazard.id, Marker.DELETE)


def view(costs: list[float], returns: list[float], heeded: float = 1.0) -> OutlookView:
    """The plan along x, then one candidate a cost, each turned left by its number."""
    num = len(costs)
    poses = np.stack([POSES + [0.0, float(number), 0.0] for number in range(num + 1)])
    return OutlookView(
        stamp=1.5,
        d0=0.5,
        heeded=heeded,
        thresholds=np.zeros(0),
        safe_fractions=np.zeros(0),
        returns=np.array([0.0, *returns]),
        costs=np.array([0.0, *costs]),
        actions=np.stack([np.array([5.0 + 0.1 * n, 0.0]) for n in range(num + 1)]),
        step_costs=np.array([[0.0, 1.0]] + [[0.0, 0.0]] * num),
        poses=poses,
    )


def test_candidates_are_coloured_by_return_and_those_over_d0_dashed() -> None:
    seen = view(costs=[0.0, 0.5, 0.6, 0.0], returns=[1.0, 3.0, 9.0, 2.0])
    found = by_name(markers.candidates(WHERE, seen, CAR, 1.0))
    safe, unsafe = found['candidates'], found['unsafe_candidates']
    assert [p.y for p in safe.points] == [1.0] * 4 + [2.0] * 4 + [4.0] * 4
    light = [c.g for c in safe.colors[::4]]
    assert light[0] < light[2] < light[1]  # as the returns 1, 2, 3
    assert [(p.x, p.y) for p in unsafe.points] == [(0, 3), (0.5, 3), (1, 3), (1.5, 3)]
    # Of those farther from the plan's action than on average (0.25 of 0.1 to 0.4): 3 and 4.
    assert [p.y for p in found['runner_up'].points] == [4.0] * 3
    green, red = found['worst_cost'].colors
    assert green.g > green.r and red.r > red.g


def test_candidates_that_are_not_there_are_deleted() -> None:
    found = by_name(markers.candidates(WHERE, view([0.0], [1.0]), CAR, 1.0))
    assert found['unsafe_candidates'].action == Marker.DELETE
    assert found['candidates'].action == Marker.ADD
    gone = markers.no_candidates(WHERE).markers
    assert {m.ns for m in gone} == set(found)
    assert all(m.action == Marker.DELETE for m in gone)


def test_where_d0_is_ignored_all_candidates_are_shown_alike() -> None:
    seen = view([0.0, 9.0], [1.0, 2.0], heeded=0.0)
    found = by_name(markers.candidates(WHERE, seen, CAR, 1.0))
    assert len(found['candidates'].points) == 8
    assert found['unsafe_candidates'].action == Marker.DELETE


def test_diverged_candidates_are_left_out() -> None:
    seen = view([np.inf, 0.0], [-np.inf, 2.0])
    seen.poses[1] = np.nan
    found = by_name(markers.candidates(WHERE, seen, CAR, 1.0))
    assert len(found['candidates'].points) == 4
    assert found['unsafe_candidates'].action == Marker.DELETE


def test_a_plan_without_candidates_has_no_runner_up() -> None:
    alone = view([], [])
    assert by_name(markers.candidates(WHERE, alone, CAR, 1.0))['runner_up'].action == Marker.DELETE
