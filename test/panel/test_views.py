# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a panel remembers and how it is drawn."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from loop_ros.outlook import OutlookView
from loop_ros.panel import curves
from loop_ros.panel.history import CURVES, History
from loop_ros.panel.picture import top_view
from loop_ros.sim import registry

CAR = registry.task('drift_car')


def telemetry(**changes: float) -> dict[str, float]:
    return {**dict.fromkeys(CURVES, 1.0), 'stamp': 3.0, 'level': 0.0, 'd0': 0.2, **changes}


def outlook(costs: list[float], horizon: int = 2) -> OutlookView:
    """A plan, two thresholds and the rest candidates, each a straight line of its own."""
    num = len(costs)
    poses = np.zeros((num, horizon + 1, 3))
    poses[:, :, 0] = np.arange(horizon + 1)
    poses[:, :, 1] = np.arange(num)[:, None]
    return OutlookView(
        1.0, 0.5, 1.0, np.array([0.0, 4.0]), np.array([0.1, 1.0]), np.arange(float(num)),
        np.array(costs), np.zeros((num, 2)), np.array([[0.0, c] for c in costs]), poses,
    )  # fmt: skip


def drawn(history: History, preview: float | None = None) -> ET.Element:
    return ET.fromstring(top_view(history.snapshot(), CAR.drawing, preview))


def classes(svg: ET.Element) -> list[str]:
    return [element.attrib['class'] for element in svg.iter() if 'class' in element.attrib]


def test_before_anything_is_heard_the_planner_is_silent_and_the_picture_has_the_track() -> None:
    seen = History().snapshot()
    assert seen.silent
    assert seen.threshold is None and seen.outlook is None
    assert {'track', 'limit'} <= set(classes(drawn(History())))


def test_the_first_plan_of_a_threshold_is_remembered() -> None:
    history = History()
    for stamp, d0 in ((1.0, 0.2), (2.0, math.nan), (3.0, 0.2), (4.0, 4.0), (5.0, 4.0)):
        history.add_telemetry(telemetry(stamp=stamp, d0=d0))
    found = history.snapshot().threshold
    assert found is not None
    assert (found.d0, found.stamp) == (4.0, 4.0)


def test_candidates_that_break_d0_the_preview_and_costly_steps_are_told_apart() -> None:
    history = History()
    history.add_telemetry(telemetry())
    history.add_outlook(outlook(costs=[0.4, 0.0, 3.0, 0.5, 0.6, 9.0]))
    found = classes(drawn(history, preview=3.0))
    assert found.count('candidate safe') == 1  # 0.5 is not above d0
    assert found.count('candidate unsafe') == 2
    assert found.count('costly') == 1  # of the plan's two steps
    svg = drawn(history, preview=3.0)
    (line,) = [each for each in svg.iter() if each.attrib.get('class') == 'preview']
    assert line.attrib['points'].startswith('0.000,2.000')  # of the threshold 4, nearest to 3


@pytest.mark.parametrize(
    ('level', 'kind'),
    [(0, 'plan level-0'), (1, 'plan level-1'), (2, 'plan not-driven level-2'),
     (4, 'plan not-driven level-4')],
)  # fmt: skip
def test_a_plan_that_is_not_driven_looks_so(level: int, kind: str) -> None:
    history = History()
    history.add_telemetry(telemetry(level=level))
    history.add_outlook(outlook(costs=[0.0, 0.0, 0.0]))
    assert kind in classes(drawn(history))


def test_a_new_episode_breaks_the_driven_line() -> None:
    history = History()
    for x in (0.0, 0.1, 0.2, 5.0, 5.1, 5.2):
        history.add_state(np.zeros(6), np.array([x, 0.0, 0.0]))
    assert classes(drawn(history)).count('driven') == 2


def test_curves_have_gaps_where_nothing_was_predicted() -> None:
    history = History()
    history.add_telemetry(telemetry(worst_cost=math.nan, plan_s=0.02))
    seen = history.snapshot()
    assert curves.data('cost', seen, CAR.control_period)[0][0][1] is None
    plan, period = curves.data('time', seen, CAR.control_period)
    assert (plan[0][1], period[0][1]) == (20.0, 35.0)  # ms


def test_each_chart_has_a_line_for_each_of_its_curves() -> None:
    seen = History().snapshot()
    for name in curves.CHARTS:
        options: dict[str, Any] = curves.options(name)
        assert len(options['series']) == len(curves.data(name, seen, 0.035))


def test_a_robot_far_from_the_origin_is_in_the_picture() -> None:
    history = History()
    history.add_state(np.zeros(6), np.array([-30.0, 12.0, 1.0]))
    x, y, width, height = map(float, drawn(history).attrib['viewBox'].split())
    assert x < -30.0 < x + width
    assert y < -12.0 < y + height  # downwards


def test_where_the_robot_observes_no_pose_it_stands_in_the_middle_of_what_it_sees() -> None:
    task = registry.task('PointGoal1')
    history, (low, high) = History(), (0.0, 1.0)
    observation = np.linspace(low, high, len(task.observation_labels))
    history.add_state(observation, np.zeros(3))
    svg = ET.fromstring(top_view(history.snapshot(), task.drawing, None))
    assert 'goal' in classes(svg)
    x, y, width, height = map(float, svg.attrib['viewBox'].split())
    assert (x + width / 2, y + height / 2) == (0.0, 0.0)
