# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pictures show of a task beside driven and planned lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loop_ros.types import Array


@dataclass(frozen=True)
class Circle:
    """A circle on the ground in the frame of its drawing; m."""

    radius: float
    x: float = 0.0
    y: float = 0.0
    limit: bool = False  # dashed red: the robot is to stay on one side of it
    goal: bool = False  # green: where it is to go


@dataclass(frozen=True)
class Curve:
    """One of the task's metrics over time."""

    metric: str
    unit: str = ''
    limit: float | None = None  # dashed red
    colours: tuple[float, float] | None = None  # range in which it colours the driven lines


@dataclass(frozen=True)
class Drawing:
    """All of it; without curves every metric is drawn, without a unit.

    The frame is `odom`; where no pose is observed it is `base_link`, and all that is drawn moves
    round the robot, `Task.path` included.
    """

    circles: tuple[Circle, ...] = ()  # that stay
    around: Callable[[Array], tuple[Circle, ...]] | None = None  # discs seen in an observation [O]
    follows_robot: bool = False  # the frame is `base_link`
    robot: tuple[float, float] = (0.4, 0.2)  # m, length and width of its body
    curves: tuple[Curve, ...] = ()
