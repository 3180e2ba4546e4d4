# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scanners, paths and files that are unusual, but not rare."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore
from rover import odometry, robot_file

from loop_ros.robot.description import load
from loop_ros.robot.fields import Field, Sectors

TYPES = get_typestore(Stores.ROS2_HUMBLE).types
STAMP = TYPES['builtin_interfaces/msg/Time'](sec=1, nanosec=0)
HEADER = TYPES['std_msgs/msg/Header'](stamp=STAMP, frame_id='laser')


def scan(ranges: Any, start: float, end: float) -> Any:
    """As rosbags reads it, with beams from one angle to another."""
    increment = (end - start) / (len(ranges) - 1)
    return TYPES['sensor_msgs/msg/LaserScan'](
        HEADER, start, end, increment, 0.0, 0.1, 0.2, 12.0,
        np.array(ranges, dtype=np.float32), np.array([], dtype=np.float32),
    )  # fmt: skip


@given(st.lists(st.floats(0.25, 11.5, width=32), min_size=30, max_size=200), st.data())
def test_a_nearer_obstacle_never_reads_farther(ranges: list[float], data: Any) -> None:
    sectors = Sectors(3, -1.5, 1.5, 8.0)
    before = sectors.read(scan(ranges, -1.4, 1.4))
    ranges[data.draw(st.integers(0, len(ranges) - 1))] = 0.2
    after = sectors.read(scan(ranges, -1.4, 1.4))
    assert (after <= before).all() and after.min() == np.float32(0.2)


def test_a_scanner_that_is_mounted_upside_down() -> None:
    ranges = np.full(100, 5.0)
    ranges[:10] = 1.0  # its first beams are to the left
    np.testing.assert_allclose(Sectors(3, -1.5, 1.5).read(scan(ranges, 1.4, -1.4)), [5, 5, 1])


def test_a_scanner_that_counts_from_0_to_2_pi() -> None:
    """As many that turn do: what is to the right has angles above pi there."""
    ranges = np.full(360, 5.0)
    ranges[350] = 1.0  # ten degrees to the right
    found = Sectors(3, -1.5, 1.5).read(scan(ranges, 0.0, 2 * math.pi * 359 / 360))
    np.testing.assert_allclose(found, [5, 1, 5])


def test_the_beam_at_the_very_end_counts() -> None:
    found = Sectors(5, -2.0, 2.0).read(scan([1, 2, 3, 4, 5], -2.0, 2.0))
    np.testing.assert_allclose(found, [1, 2, 3, 4, 5])


@pytest.mark.parametrize('path', ['pose.pose[0]', 'pose.pose.position.x[0]'])
def test_an_index_into_what_is_no_array_is_named(path: str) -> None:
    with pytest.raises(ValueError, match='pose'):
        Field(path).read(odometry())


def test_a_key_that_stands_there_twice_is_a_mistake(tmp_path: Path) -> None:
    path = robot_file(tmp_path)
    path.write_text(path.read_text().replace('topic: /goal_pose,', 'topic: /a, topic: /b,'))
    assert 'topic: /a, topic: /b' in path.read_text()
    with pytest.raises(ValueError, match='topic'):
        load(path)
