# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pictures of a task's episodes show beside the driven lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Circle:
    """A circle on the ground in the `odom` frame; m."""

    radius: float
    x: float = 0.0
    y: float = 0.0
    limit: bool = False  # dashed red: the robot is to stay on one side of it


@dataclass(frozen=True)
class Curve:
    """One of the task's metrics over time."""

    metric: str
    unit: str = ''
    limit: float | None = None  # dashed red
    colours: tuple[float, float] | None = None  # range in which it colours the driven lines


@dataclass(frozen=True)
class Drawing:
    """All of it; without curves every metric is drawn, without a unit."""

    circles: tuple[Circle, ...] = ()
    curves: tuple[Curve, ...] = ()
