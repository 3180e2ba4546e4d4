# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model sees of a lidar: it turns as the robot turns, and says what is nearest and where."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loop_ros.robot.fields import Sectors
from loop_ros.sim.lidar import Lidar

LIDAR = Lidar(sectors=32)
RANGES = st.lists(st.floats(0.0, 5.0), min_size=32, max_size=32)


def features(ranges: list[float]) -> torch.Tensor:
    return LIDAR.features(torch.tensor(ranges, dtype=torch.float64))


@given(RANGES, st.integers(0, 31))
def test_when_the_robot_turns_all_directions_turn_and_nothing_else_changes(
    ranges: list[float], by: int
) -> None:
    before, after = features(ranges), features(ranges[-by:] + ranges[:-by])
    assert after[[0, 7]].tolist() == pytest.approx(before[[0, 7]].tolist())
    for start, order in ((1, 1), (3, 2), (5, 1)):
        turn = order * by * 2 * math.pi / 32
        x, y = before[start : start + 2].tolist()
        turned = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        assert after[start : start + 2].tolist() == pytest.approx(turned, abs=1e-9)


@given(RANGES, st.floats(0.06, 2.9))
def test_something_is_within_a_distance_where_its_range_is(
    ranges: list[float], distance: float
) -> None:
    gap = min(abs(max(each, 0.05) - distance) for each in ranges)
    if gap > 1e-9:
        assert bool(LIDAR.is_within(features(ranges), distance)) == (min(ranges) < distance)


def test_one_thing_is_seen_where_it_is() -> None:
    ranges = [3.0] * 32
    ranges[24] = 0.7  # of the sector round 90 degrees and half a sector
    seen = features(ranges)
    angle = math.radians(90 + 180 / 32)
    far, near = math.exp(-3 / 0.7), math.exp(-1)
    assert seen[0].item() == pytest.approx((31 * far + near) / 32)
    expected = [(near - far) / 32 * f(angle) for f in (math.cos, math.sin)]
    assert seen[1:3].tolist() == pytest.approx(expected)
    assert seen[5:7].tolist() == pytest.approx([math.cos(angle), math.sin(angle)], abs=1e-6)
    assert seen[7].item() == pytest.approx(math.log(0.7))


def test_the_picture_shows_what_is_seen() -> None:
    ranges = np.full(32, 3.0)
    ranges[[16, 24]] = 0.2, 2.0
    ahead, left = LIDAR.circles(ranges, limit=0.3)
    assert (ahead.x, ahead.y) == pytest.approx((0.2 * math.cos(math.pi / 32), 0.0196), abs=1e-4)
    assert (ahead.limit, left.limit) == (True, False)
    assert (left.x, left.y) == pytest.approx((-0.196, 1.990), abs=1e-3)


@given(st.floats(-1.99, 1.99))
def test_its_sectors_are_those_of_a_robot_file(angle: float) -> None:
    """A scan of 400 rays over 4 rad, of which one sees something."""
    lidar = Lidar(sectors=16, start=-2.0, end=2.0)
    scan = SimpleNamespace(
        ranges=[math.inf] * 400,
        angle_min=-1.995,
        angle_increment=0.01,
        range_min=0.1,
        range_max=9.0,
    )
    ray = min(round((angle + 1.995) / 0.01), 399)
    scan.ranges[ray] = 1.0
    read = Sectors(16, -2.0, 2.0, farthest=3.0).read(scan)
    place = -1.995 + 0.01 * ray
    assert abs(lidar.angles[int(read.argmin())].item() - place) <= 0.125 + 1e-6
