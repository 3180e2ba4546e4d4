# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What planner and task say of the world, as markers for RViz and Foxglove.

Every array names all the markers that there may be of its kind: what is not there is deleted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from loop_ros.nodes.conversions import NANOSECONDS, time_to_msg
from loop_ros.outlook import OutlookView
from loop_ros.planar import quaternion_from_yaw
from loop_ros.sim.drawing import Circle, Drawing
from loop_ros.sim.task import Task
from loop_ros.types import Array, Flags

Colour = tuple[float, float, float, float]
# Plan, shifted plan, actor, hold, stop.
LEVELS: tuple[Colour, ...] = (
    (0.1, 0.8, 0.2, 1.0),
    (0.9, 0.8, 0.1, 1.0),
    (0.9, 0.5, 0.1, 1.0),
    (0.9, 0.1, 0.1, 1.0),
    (0.6, 0.0, 0.6, 1.0),
)
LIMIT, GOAL, THING = (0.85, 0.2, 0.15, 0.8), (0.1, 0.7, 0.3, 0.6), (0.6, 0.6, 0.6, 0.8)
UNSAFE, RUNNER_UP, NOSE = (0.9, 0.2, 0.2, 0.5), (0.9, 0.2, 0.9, 1.0), (0.98, 0.75, 0.2, 1.0)
WORST, BEST = (0.1, 0.15, 0.5), (0.4, 0.95, 1.0)  # returns of safe candidates, dark to light
BODY = 0.6  # of its colour: what lies under it shows
RING = 48  # corners of a circle
THIN, THICK = 0.008, 0.02  # m, lines
LETTER = 0.1  # m


def header(frame: str, nanoseconds: int) -> Header:
    """Where and when."""
    return Header(frame_id=frame, stamp=time_to_msg(nanoseconds))


def plan(
    where: Header, poses: Array, pose: Array, level: int, text: str, lifetime: float
) -> MarkerArray:
    """The plan from poses [n, 3] (m, rad) in the colour of its level, and a caption.

    The line is there for `lifetime` s, and not at all without two poses; the caption stays at the
    robot's pose [3].
    """
    line = _marker(where, 'plan', Marker.LINE_STRIP, LEVELS[level], THICK)
    if len(poses) > 1:
        line.points = points(poses)
        line.lifetime = duration(lifetime)
    else:
        line.action = Marker.DELETE
    caption = _marker(where, 'caption', Marker.TEXT_VIEW_FACING, LEVELS[level])
    caption.scale.z, caption.text = LETTER, text
    caption.pose.position = Point(x=pose[0], y=pose[1] + 3 * LETTER, z=LETTER)
    return MarkerArray(markers=[line, caption])


def world(
    where: Header,
    drawing: Drawing,
    pose: Array,
    around: Sequence[Circle],
    level: int,
    before: int = 0,
) -> MarkerArray:
    """The robot at a pose [3] (m, rad) in the colour of its level, and what stands round it.

    Of `before` circles round it that are shown those that are too many are deleted.
    """
    length, width = drawing.robot
    body = _marker(where, 'robot', Marker.CUBE, LEVELS[level])
    body.color.a = BODY
    body.scale.x, body.scale.y, body.scale.z = length, width, width / 2
    nose = _marker(where, 'robot', Marker.ARROW, NOSE, number=1)
    nose.scale.x, nose.scale.y, nose.scale.z = length, width / 4, width / 4
    for marker, height in ((body, width / 4), (nose, width / 2)):
        marker.pose.position = Point(x=pose[0], y=pose[1], z=height)
        marker.pose.orientation.z, marker.pose.orientation.w = quaternion_from_yaw(pose[2])
    rings = [_ring(where, circle, number) for number, circle in enumerate(drawing.circles)]
    discs = [_disc(where, circle, number) for number, circle in enumerate(around)]
    gone = [
        Marker(header=where, ns='around', id=number, action=Marker.DELETE)
        for number in range(len(around), before)
    ]
    return MarkerArray(markers=[body, nose, *rings, *discs, *gone])


def candidates(where: Header, view: OutlookView, task: Task, lifetime: float) -> MarkerArray:
    """Where candidates lead, the best of those that begin unlike the plan, the plan's worst costs.

    Safe ones are lines in the colour of their return, others are dashed and red. What the plan
    is predicted to cost at worst is a ball at each step, from green (nothing) to red (1 and more).
    """
    poses, costs = view.poses[view.candidates], view.costs[view.candidates]
    returns = view.returns[view.candidates]
    safe: Flags = np.isfinite(returns) & ((costs <= view.d0) | (not view.heeded))
    fan = _marker(where, 'candidates', Marker.LINE_LIST, LEVELS[0], THIN)
    for each, colour in zip(poses[safe], shades(returns[safe]), strict=True):
        fan.points += segments(each)
        fan.colors += [colour] * (2 * (len(each) - 1))
    unsafe = _marker(where, 'unsafe_candidates', Marker.LINE_LIST, UNSAFE, THIN)
    for each in poses[~safe & np.isfinite(poses).all(axis=(1, 2))]:
        unsafe.points += segments(each, dashed=True)
    other = _marker(where, 'runner_up', Marker.LINE_STRIP, RUNNER_UP, 2 * THIN)
    if (number := runner_up(view, safe, task)) is not None:
        other.points = points(poses[number])
    balls = _marker(where, 'worst_cost', Marker.SPHERE_LIST, LEVELS[0])
    balls.scale.x = balls.scale.y = balls.scale.z = 2 * THICK
    balls.points = points(view.poses[0, 1:])
    balls.colors = [_blend(LEVELS[0], LIMIT, float(c)) for c in np.clip(view.step_costs[0], 0, 1)]
    markers = [fan, unsafe, other, balls]
    for marker in markers:
        marker.lifetime = duration(lifetime)
        marker.action = Marker.ADD if marker.points else Marker.DELETE
    return MarkerArray(markers=markers)


def no_candidates(where: Header) -> MarkerArray:
    """Nothing of `candidates`."""
    names = ('candidates', 'unsafe_candidates', 'runner_up', 'worst_cost')
    gone = [Marker(header=where, ns=name, action=Marker.DELETE) for name in names]
    return MarkerArray(markers=gone)


def runner_up(view: OutlookView, safe: Flags, task: Task) -> int | None:
    """Which of the candidates shown is best among those that begin differently, as the planner's.

    That is, farther from the plan's action than they do on average; safe ones come first.
    """
    costs, returns = view.costs[view.candidates], view.returns[view.candidates]
    if not len(returns):
        return None
    actions = task.normalize_action(view.actions)
    distance = np.linalg.norm(actions[view.candidates] - actions[0], axis=1)
    different = np.flatnonzero((distance >= distance.mean()) & np.isfinite(returns))
    if not len(different):
        return None
    return int(max(different, key=lambda i: (safe[i], returns[i] if safe[i] else -costs[i])))


def shades(returns: Array) -> list[ColorRGBA]:
    """A colour for each return [n], from the least of them to the greatest."""
    if not len(returns):
        return []
    low, high = returns.min(), returns.max()
    shares = (returns - low) / max(high - low, 1e-9)
    return [_blend((*WORST, 0.8), (*BEST, 0.8), float(share)) for share in shares]


def points(poses: Array) -> list[Point]:
    """Poses [n, 3] on the ground."""
    return [Point(x=x, y=y) for x, y, _ in poses.tolist()]


def segments(poses: Array, dashed: bool = False) -> list[Point]:
    """Both ends of each step between poses [n, 3]; `dashed`: of its first half."""
    ends = poses[1:] if not dashed else (poses[1:] + poses[:-1]) / 2
    pairs = zip(points(poses[:-1]), points(ends), strict=True)
    return [point for pair in pairs for point in pair]


def duration(seconds: float) -> Duration:
    """As a message."""
    sec, nanosec = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(sec=sec, nanosec=nanosec)


def _marker(
    where: Header, name: str, kind: int, colour: Colour, width: float = 0.0, number: int = 0
) -> Marker:
    marker = Marker(header=where, ns=name, id=number, type=kind)
    marker.pose.orientation.w = 1.0
    marker.color = _colour(colour)
    marker.scale.x = width
    return marker


def _ring(where: Header, circle: Circle, number: int) -> Marker:
    ring = _marker(where, 'track', Marker.LINE_STRIP, _kind(circle), THICK, number)
    ring.points = [
        Point(x=circle.x + circle.radius * math.cos(a), y=circle.y + circle.radius * math.sin(a))
        for a in (2 * math.pi * corner / RING for corner in range(RING + 1))
    ]
    return ring


def _disc(where: Header, circle: Circle, number: int) -> Marker:
    disc = _marker(where, 'around', Marker.CYLINDER, _kind(circle), 2 * circle.radius, number)
    disc.scale.y, disc.scale.z = 2 * circle.radius, THICK
    disc.pose.position = Point(x=circle.x, y=circle.y)
    return disc


def _kind(circle: Circle) -> Colour:
    return LIMIT if circle.limit else GOAL if circle.goal else THING


def _blend(one: Iterable[float], two: Iterable[float], share: float) -> ColorRGBA:
    r, g, b, a = (x + share * (y - x) for x, y in zip(one, two, strict=True))
    return ColorRGBA(r=r, g=g, b=b, a=a)


def _colour(colour: Colour) -> ColorRGBA:
    return _blend(colour, colour, 0.0)
