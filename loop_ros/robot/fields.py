# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a number stands in a message: `twist.twist.linear.x`, `position[elbow]`, `axes[1]`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from loop_ros import planar
from loop_ros.types import Array

NAMES = ('name', 'joint_names')  # fields that name the elements of the arrays beside them
ANGLES = ('roll', 'pitch', 'yaw')  # of a quaternion
_STEP = re.compile(r'([A-Za-z]\w*)((?:\[[^\[\]]+\])*)')


class Field:
    """A path of attributes and indices; an index is a number, or the name of a joint."""

    def __init__(self, path: str) -> None:
        """ValueError where `path` is none."""
        self.path = path
        self.steps: list[str | int] = []  # an index that is a name begins with '['
        for step in path.split('.'):
            match = _STEP.fullmatch(step)
            if match is None:
                raise ValueError(f"'{path}' is no path of fields, as twist.linear.x or axes[1]")
            self.steps.append(match[1])
            for index in re.findall(r'\[([^\[\]]+)\]', match[2]):
                self.steps.append(int(index) if index.isdecimal() else f'[{index}')

    def read(self, message: Any) -> float:
        """The number in a message; ValueError where there is none."""
        *steps, last = self.steps
        holder = self._walk(message, steps)
        if last in ANGLES and hasattr(holder, 'w'):
            return _angle(holder, str(last), self.path)
        found = self._follow(holder, last, message)
        try:
            return float(found)
        except (TypeError, ValueError):
            raise ValueError(f"'{self.path}' is a {type(found).__name__}, not a number") from None

    def write(self, message: Any, value: float) -> None:
        """Put a number into a message that has a place for it; ValueError where it has none."""
        *steps, last = self.steps
        holder = self._walk(message, steps)
        if last == 'yaw' and hasattr(holder, 'w'):
            holder.x = holder.y = 0.0
            holder.z, holder.w = planar.quaternion_from_yaw(value)
        elif isinstance(last, int) or last.startswith('['):
            holder[self._index(last, message)] = value
        elif hasattr(holder, last):
            setattr(holder, last, value)
        else:
            raise ValueError(f"'{self.path}': no field '{last}' in {type(holder).__name__}")

    @property
    def joint(self) -> str | None:
        """The name of the joint that the path asks for."""
        return next((str(s)[1:] for s in self.steps if str(s).startswith('[')), None)

    def _walk(self, message: Any, steps: list[str | int]) -> Any:
        found = message
        for step in steps:
            found = self._follow(found, step, message)
        return found

    def _follow(self, holder: Any, step: str | int, message: Any) -> Any:
        if isinstance(step, int) or step.startswith('['):
            index = self._index(step, message)
            if not hasattr(holder, '__len__'):
                raise ValueError(f"'{self.path}': a {type(holder).__name__} has no elements")
            if index >= len(holder):
                raise ValueError(f"'{self.path}': {len(holder)} values, no number {index}")
            return holder[index]
        if not hasattr(holder, step):
            raise ValueError(f"'{self.path}': no field '{step}' in {type(holder).__name__}")
        return getattr(holder, step)

    def _index(self, step: str | int, message: Any) -> int:
        """The place of an element, by the message's own names where it is asked for by name."""
        if isinstance(step, int):
            return step
        names = next((getattr(message, name) for name in NAMES if hasattr(message, name)), None)
        if names is None or step[1:] not in list(names):
            known = 'no names' if names is None else f'names {list(names)}'
            raise ValueError(f"'{self.path}': {known} in {type(message).__name__}")
        return list(names).index(step[1:])


@dataclass(frozen=True)
class Sectors:
    """The nearest (or mean) return of a laser scan in each of `count` equal sectors.

    No return counts as `farthest` m. What a scanner marks as wrong (NaN, or nearer than it can
    measure) is left out; a return that is too near to measure (-inf, REP 117) is at its least.
    """

    count: int
    start: float = -math.pi  # rad, of the scan's own angles
    end: float = math.pi
    farthest: float = 10.0  # m
    mean: bool = False

    def read(self, message: Any) -> Array:
        """Distances [count], in the order of the angles; ValueError names an empty sector."""
        ranges = np.asarray(message.ranges, dtype=np.float64)
        angles = message.angle_min + message.angle_increment * np.arange(len(ranges))
        place = self._place(angles)
        near = np.isneginf(ranges)
        wrong = np.isnan(ranges) | ((ranges < message.range_min) & ~near)
        distance = np.where(near, message.range_min, np.minimum(ranges, self.farthest))
        distance = np.where(ranges > message.range_max, self.farthest, distance)
        found = np.empty(self.count)
        for sector in range(self.count):
            mine = distance[(place == sector) & ~wrong]
            if not len(mine):
                low, high = (
                    self.start + (self.end - self.start) * edge / self.count
                    for edge in (sector, sector + 1)
                )
                raise ValueError(
                    f'sector {sector} of {self.count}, {low:.3g} to {high:.3g} rad, has no usable '
                    f'range (the scan has {message.angle_min:.3g} to {angles[-1]:.3g} rad)'
                    if len(ranges)
                    else 'the scan is empty'
                )
            found[sector] = mine.mean() if self.mean else mine.min()
        return found

    def _place(self, angles: Array) -> Array:
        """The sector of each angle, taken round; `count` or more outside of all."""
        span, edge = self.end - self.start, 1e-6
        turned = (angles - self.start + edge) % (2 * math.pi) - edge
        inside = np.where(turned <= span + edge, np.minimum(turned, span * (1 - 1e-9)), np.inf)
        return np.floor(np.maximum(inside, 0.0) / span * self.count)


def pose(message: Any) -> tuple[float, float, float]:
    """The planar pose (x, y, yaw) in a message of any of the usual types; ValueError for others."""
    found = message
    while hasattr(found, 'pose'):
        found = found.pose
    found = getattr(found, 'transform', found)
    place = getattr(found, 'position', getattr(found, 'translation', None))
    turn = getattr(found, 'orientation', getattr(found, 'rotation', None))
    if place is None or turn is None:
        raise ValueError(f'no pose in a {type(message).__name__}')
    return float(place.x), float(place.y), _angle(turn, 'yaw', 'orientation')


def relative(one: Any, other: Any) -> dict[str, float]:
    """Where the pose of a message is, seen from another's: x forward, y left, yaw (m, rad)."""
    (x, y, yaw), (from_x, from_y, from_yaw) = pose(one), pose(other)
    east, north = x - from_x, y - from_y
    cosine, sine = math.cos(from_yaw), math.sin(from_yaw)
    turn = (yaw - from_yaw + math.pi) % (2 * math.pi) - math.pi
    return {'x': cosine * east + sine * north, 'y': cosine * north - sine * east, 'yaw': turn}


def _angle(q: Any, name: str, path: str) -> float:
    """Roll, pitch or yaw (rad, REP 103) of a quaternion."""
    yaw = float(planar.yaw_from_quaternion(q.x, q.y, q.z, q.w))
    if math.isnan(yaw):
        norm = math.hypot(q.x, q.y, q.z, q.w)
        raise ValueError(f"'{path}': the quaternion has the norm {norm:.3g}, expected 1")
    if name == 'yaw':
        return yaw
    if name == 'roll':
        upright = q.w * q.w + q.z * q.z - q.x * q.x - q.y * q.y
        return math.atan2(2 * (q.w * q.x + q.y * q.z), upright)
    square = q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z
    return math.asin(min(1.0, max(-1.0, 2 * (q.w * q.y - q.z * q.x) / square)))
