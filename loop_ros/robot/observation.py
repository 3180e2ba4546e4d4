# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The newest messages of a robot, as one observation."""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

import numpy as np

from loop_ros.layout import LARGEST
from loop_ros.robot.contents import Input, Quantity, Robot
from loop_ros.robot.fields import Sectors, relative
from loop_ros.types import Array

REMEMBERED = 15  # messages of an input, by whose times it is known how often it comes
TOLERANCE = 0.25  # of a control period


class NotReady(ValueError):
    """There is no observation now; the message says what is missing, old or wrong."""


class Received(NamedTuple):
    """A message and when it came."""

    message: Any
    at: float  # s


class Assembler:
    """Keeps the newest message of each input, and makes observations of them."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        self._newest: dict[str, Received] = {}
        self._observed_at = self._before = -math.inf  # s, the last two observations
        self._period = robot.task.control_period
        brief = 2 * self._period
        # Of the inputs that may not grow two periods old: the time between their last messages.
        self._gaps: dict[str, deque[float]] = {
            name: deque(maxlen=REMEMBERED)
            for name, found in robot.inputs.items()
            if found.max_age < brief
        }
        labels = robot.task.observation_labels
        self._places = [[labels.index(label) for label in q.labels] for q in robot.quantities]

    def put(self, name: str, message: Any, at: float) -> None:
        """Take up a message of an input, received at `at` (s)."""
        if name in self._gaps and name in self._newest:
            self._gaps[name].append(at - self._newest[name].at)
        self._newest[name] = Received(message, at)

    def clear(self) -> None:
        """Forget all messages."""
        self._newest.clear()

    def age(self, name: str, now: float) -> float:
        """How old (s) an input's newest message is; infinite before the first."""
        return now - self._newest[name].at if name in self._newest else math.inf

    def is_young(self, now: float) -> bool:
        """Whether what was observed last is of its own time.

        That is so where the inputs that may not grow two periods old have come since the
        observation before it, and are no older than usual. Else the robot has moved on unseen, and
        a step that begins or ends here is none.
        """
        for name, gaps in self._gaps.items():
            usual = min(sorted(gaps)[len(gaps) // 2], self._period) if gaps else self._period
            is_old = self.age(name, now) > usual + TOLERANCE * self._period
            if is_old or self._newest[name].at <= self._before:
                return False
        return True

    def observation(self, now: float) -> Array:
        """The observation [O] at `now` (s); NotReady says why there is none."""
        found = np.empty(len(self.robot.task.observation_labels))
        for name in self.robot.inputs:
            self._check(self.robot.inputs[name], now)
        for quantity, places in zip(self.robot.quantities, self._places, strict=True):
            found[places] = self._value(quantity)
        self._before, self._observed_at = self._observed_at, now
        return found

    def problems(self, now: float) -> list[str]:
        """Everything that keeps an observation from being made, each with its line."""
        found = []
        for name, listened in self.robot.inputs.items():
            try:
                self._check(listened, now)
            except NotReady as error:
                found.append(f'{self.robot.where(listened.line)}: {error}')
                continue
            for quantity in self.robot.quantities:
                if name == quantity.input and quantity.relative_to in ('', *self._newest):
                    try:
                        self._value(quantity)
                    except NotReady as error:
                        found.append(f'{self.robot.where(quantity.line)}: {error}')
        return found

    def _check(self, listened: Input, now: float) -> None:
        """NotReady where an input is missing, too old, or in another frame."""
        name = listened.name
        if name not in self._newest:
            raise NotReady(f"no message of '{name}' on {listened.topic}")
        message, at = self._newest[name]
        if now - at > listened.max_age:
            raise NotReady(
                f"'{name}' on {listened.topic} is {now - at:.3g} s old, at most "
                f'{listened.max_age:g} s'
            )
        header = getattr(message, 'header', None)
        for key, wanted, found in (
            ('frame', listened.frame, getattr(header, 'frame_id', '')),
            ('child_frame', listened.child_frame, getattr(message, 'child_frame_id', '')),
        ):
            if wanted and found != wanted:
                raise NotReady(f"'{name}' on {listened.topic}: {key} is '{found}', not '{wanted}'")

    def _value(self, quantity: Quantity) -> float | Array:
        """The components of one quantity."""
        source = quantity.source
        if isinstance(source, float):
            return source
        message = self._newest[quantity.input].message
        try:
            if isinstance(source, Sectors):
                value: float | Array = source.read(message)
            elif quantity.relative_to:
                other = self._newest[quantity.relative_to].message
                _same_frame(message, other, quantity)
                value = relative(message, other)[source.path]
            else:
                value = source.read(message)
        except ValueError as error:
            raise NotReady(f"{', '.join(quantity.labels)} of '{quantity.input}': {error}") from None
        value = quantity.scale * value + quantity.offset
        what = f"{', '.join(quantity.labels)} of '{quantity.input}': {value}"
        if not np.all(np.abs(value) <= LARGEST):
            raise NotReady(f'{what} is no number to work with')
        if not np.all((quantity.low <= value) & (value <= quantity.high)):
            raise NotReady(
                f'{what} is outside [{quantity.low:g}, {quantity.high:g}]: look at its unit, scale '
                'and offset'
            )
        return value


def _same_frame(one: Any, other: Any, quantity: Quantity) -> None:
    frames = [getattr(getattr(m, 'header', None), 'frame_id', '') for m in (one, other)]
    if all(frames) and frames[0] != frames[1]:
        raise ValueError(
            f"its pose is in frame '{frames[0]}', that of '{quantity.relative_to}' in "
            f"'{frames[1]}': publish both in one frame"
        )
