# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a panel knows of a stack: written by a node's thread, read by the page's."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from loop_ros.control.supervisor import STOP
from loop_ros.outlook import OutlookView
from loop_ros.types import Array

SECONDS = 60.0  # that curves and the driven line go back
SAMPLE = 0.1  # s between two points of a curve
DRIVEN = 600  # poses of the line
CURVES = ('predicted_return', 'worst_cost', 'd0', 'safe_fraction', 'plan_s', 'level')
ABSENT = 3.0  # s of silence after which the planner counts as gone


class Threshold(NamedTuple):
    """A d0 and since when plans use it."""

    d0: float
    stamp: float  # s, of the state that the first such plan answers
    received: float  # s, steady clock


@dataclasses.dataclass
class Status:
    """One line of /diagnostics, or the supervisor's word."""

    level: int = 0  # 0 fine, 1 warning, 2 error
    message: str = ''
    values: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Snapshot:
    """All of it at one moment."""

    silent: bool  # nothing was heard of the planner for ABSENT s
    level: int  # 0 plan ... 4 stop
    reason: str
    latched: bool  # a stop holds until reset
    threshold: Threshold | None
    curves: dict[str, Array]  # [n] each of CURVES, and 'time' (s before now)
    driven: Array  # [n, 3], x, y (m), yaw (rad)
    observation: Array | None  # [O], the newest
    outlook: OutlookView | None  # None where there is no fresh one
    picture: bytes | None  # the simulator's own, a JPEG file
    planner: Status
    learner: Status | None


class History:
    """The last minute of a stack."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = -math.inf  # s, steady clock, of the planner
        self._level, self._reason, self._latched = STOP, 'nothing heard of the planner', False
        self._threshold: Threshold | None = None
        self._points: deque[tuple[float, ...]] = deque(maxlen=round(SECONDS / SAMPLE))
        self._driven: deque[tuple[float, Array]] = deque(maxlen=DRIVEN)
        self._observation: Array | None = None
        self._outlook: tuple[float, OutlookView] | None = None
        self._picture: bytes | None = None
        self._planner = Status()
        self._learner: Status | None = None

    def add_telemetry(self, values: dict[str, float]) -> None:
        """Of one command."""
        now = time.monotonic()
        with self._lock:
            self._heard, self._level = now, int(values['level'])
            d0, known = values['d0'], self._threshold
            if not math.isnan(d0) and (known is None or known.d0 != d0):
                self._threshold = Threshold(d0, values['stamp'], now)
            if not self._points or now - self._points[-1][0] >= SAMPLE:
                self._points.append((now, *(values[name] for name in CURVES)))

    def add_outlook(self, outlook: OutlookView) -> None:
        """What the last search knew."""
        with self._lock:
            self._outlook = time.monotonic(), outlook

    def add_state(self, observation: Array, pose: Array | None) -> None:
        """An observation [O], and where (x, y, yaw) the robot is in it, where the task says so."""
        now = time.monotonic()
        with self._lock:
            self._observation = observation
            if pose is not None:
                self._driven.append((now, pose))

    def add_picture(self, jpeg: bytes) -> None:
        """What the simulator shows."""
        with self._lock:
            self._picture = jpeg

    def set_supervisor(self, level: int, reason: str, latched: bool) -> None:
        """The supervisor's word."""
        with self._lock:
            self._heard = time.monotonic()
            self._level, self._reason, self._latched = level, reason, latched

    def set_planner(self, status: Status) -> None:
        """The planner's diagnostics."""
        with self._lock:
            self._heard, self._planner = time.monotonic(), status

    def set_learner(self, status: Status) -> None:
        """The learner's diagnostics."""
        with self._lock:
            self._learner = status

    def snapshot(self) -> Snapshot:
        """All of it."""
        with self._lock:
            now = time.monotonic()
            table = np.array([point for point in self._points if now - point[0] <= SECONDS])
            driven = [pose for at, pose in self._driven if now - at <= SECONDS]
            fresh = self._outlook is not None and now - self._outlook[0] <= ABSENT
            table = table.reshape(-1, 1 + len(CURVES))
            return Snapshot(
                silent=now - self._heard > ABSENT,
                level=self._level,
                reason=self._reason,
                latched=self._latched,
                threshold=self._threshold,
                curves={'time': table[:, 0] - now}
                | {name: table[:, 1 + index] for index, name in enumerate(CURVES)},
                driven=np.array(driven).reshape(-1, 3),
                observation=self._observation,
                outlook=self._outlook[1] if fresh and self._outlook is not None else None,
                picture=self._picture,
                planner=self._planner,
                learner=self._learner,
            )
