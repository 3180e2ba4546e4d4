# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A human takes the robot over, and gives it back."""

from __future__ import annotations

from typing import Any

import numpy as np

from loop_ros.robot.command import decode
from loop_ros.robot.contents import TakeoverRules
from loop_ros.sim.task import Task
from loop_ros.types import Array


class Takeover:
    """The human's command while the deadman is held; afterwards a blend back.

    A joystick that falls silent with its deadman held has lost its human: the safe command, until
    it says that the deadman is free. A teleoperation topic without a deadman gives back by silence.
    """

    def __init__(self, rules: TakeoverRules, task: Task) -> None:
        self.rules, self._task = rules, task
        self._safe = np.array(task.safe_command)
        self._held = False
        self._command = self._safe
        self._heard = self._released = -np.inf  # s

    def put(self, message: Any, now: float) -> bool:
        """Take up a message; whether the human has the robot. ValueError where it is unusable."""
        deadman = self.rules.deadman
        if deadman is not None and deadman.read(message) < 0.5:
            self._heard = now
            self._release(now)
            return False
        self._command = decode(self.rules.components, message, self._task)
        self._held, self._heard = True, now
        return True

    def command(self, now: float) -> Array | None:
        """The human's command [A], or the safe one where a joystick was lost; None: the planner."""
        if self._held and now - self._heard > self.rules.timeout:
            if self.rules.deadman is not None:
                return self._safe
            self._release(self._heard + self.rules.timeout)
        return self._command if self._held else None

    def lost(self, now: float) -> bool:
        """Whether a joystick fell silent with its deadman held."""
        silent = now - self._heard > self.rules.timeout
        return self._held and silent and self.rules.deadman is not None

    def blend(self, planned: Array, now: float) -> Array:
        """The planner's command [A], shortly after a takeover mixed with the human's last one."""
        elapsed = now - self._released
        if elapsed >= self.rules.blend:
            return planned
        return self._command + elapsed / self.rules.blend * (planned - self._command)

    def _release(self, now: float) -> None:
        if self._held:
            self._held, self._released = False, now
