# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Actions into messages and back, and what went out in a control period."""

from __future__ import annotations

from typing import Any

import numpy as np

from loop_ros.robot.contents import Component
from loop_ros.sim.task import Task
from loop_ros.types import Array


def encode(components: tuple[Component, ...], action: Array, message: Any) -> None:
    """Write an action [A] into a message that has a place for each component."""
    for component, value in zip(components, action.tolist(), strict=True):
        component.field.write(message, component.scale * value + component.offset)


def decode(components: tuple[Component, ...], message: Any, task: Task) -> Array:
    """The action [A] in a message, inside the task's limits; ValueError where it has none."""
    return np.clip(read(components, message, task), task.action_low, task.action_high)


def read(components: tuple[Component, ...], message: Any, task: Task) -> Array:
    """The action [A] in a message as it stands there; ValueError where it has none."""
    values = [(c.field.read(message) - c.offset) / c.scale for c in components]
    for label, value in zip(task.action_labels, values, strict=True):
        if not np.isfinite(value):
            raise ValueError(f"'{label}' is {value}")
    return np.array(values)


class Sent:
    """What the actuators were given over time."""

    def __init__(self, action: Array, at: float) -> None:
        """From `at` (s) on `action` [A] is in force."""
        self.action = action
        self._since, self._sum = at, np.zeros(len(action))
        self._begun = at

    def change(self, action: Array, at: float) -> None:
        """Another action from now on."""
        self._sum += (at - self._since) * self.action
        self._since, self.action = at, action

    def period(self, at: float) -> Array:
        """The mean action [A] since the last call, by time; what executed means."""
        self.change(self.action, at)
        duration = at - self._begun
        mean = self._sum / duration if duration > 0 else self.action.copy()
        self._sum, self._begun = np.zeros(len(mean)), at
        return mean


class Stream:
    """Between two commands: hold the last one, or go straight to it in a control period."""

    def __init__(self, action: Array, period: float, interpolate: bool) -> None:
        """`period` (s) is that of control."""
        self._from = self._to = action
        self._at = 0.0
        self._period, self._interpolate = period, interpolate

    def aim(self, action: Array, now: float) -> None:
        """A new command [A]."""
        self._from, self._to, self._at = self.action(now), action, now

    def jump(self, action: Array) -> None:
        """Be there at once."""
        self._from = self._to = action

    def action(self, now: float) -> Array:
        """What to send at `now` (s)."""
        if not self._interpolate:
            return self._to
        share = min(1.0, max(0.0, (now - self._at) / self._period))
        return self._from + share * (self._to - self._from)
