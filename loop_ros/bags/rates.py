# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a bag's messages come as often as the task needs them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from loop_ros.sim.task import Task

ENOUGH = 10  # intervals without which a rate is none
JUDGED = 50  # intervals by which a rate is known
SLACK = 1.1  # of the control period, by which messages may be apart


class Rates:
    """When the messages of topics came (ns), the fastest of which must keep up with a task."""

    def __init__(self, bag: Path, task: Task, topics: Iterable[str]) -> None:
        self._bag = bag
        self._period = task.control_period
        self._what = f"task '{task.name}'"
        self._times: dict[str, list[int]] = {topic: [] for topic in topics}
        self._judged = False

    def take(self, topic: str, time: int) -> None:
        """Note a message; ValueError once the fastest topic is known to be too slow."""
        times = self._times.get(topic)
        if self._judged or times is None:
            return
        times.append(time)
        if len(times) > JUDGED:
            self.close()

    def close(self) -> None:
        """Judge by what has come; ValueError as for `take`."""
        self._judged = True
        apart = {
            topic: median(b - a for a, b in zip(times, times[1:], strict=False)) / 1e9
            for topic, times in self._times.items()
            if len(times) > ENOUGH
        }
        if not apart or min(apart.values()) <= SLACK * self._period:
            return
        topic = min(apart, key=lambda each: apart[each])
        raise ValueError(
            f"bag '{self._bag}' has '{topic}' at {1 / apart[topic]:.3g} Hz, {self._what} is "
            f'controlled at {1 / self._period:.3g} Hz: give the task a control_period of '
            f'{apart[topic]:.3g} s or more, or record faster'
        )
