# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the states that arrive begin a control period, whatever their rate and their stamps."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

SAME_RATE = 0.9  # of a control period: states that far apart are the control rate itself
RARE = 1.25  # control periods: states that far apart leave some without one
REMEMBERED = 15  # gaps between states, of which the median counts
RATE_TOLERANCE = 1.25  # by which two clocks may differ in speed
FRESH = 10.0  # s for which a clock that went back is a warning
SPAN = 2.0  # s of receipt over which the clocks are compared


class Moment(NamedTuple):
    """When a control period begins."""

    stamp: int  # ns, by the robot's clock
    number: int  # control periods so far, those without a state included
    restart: bool  # whether nothing is known of the time before it


class StateClock:
    """Takes the state that is nearest to each control period's beginning.

    Time is that of the stamps (ns). Where they stand still, as where nobody fills them in, it is
    that of receipt (s, steady). A stamp that goes back or far ahead begins another episode.
    """

    def __init__(self, period: int, wall_period: float, patience: int) -> None:
        """`period` (ns, stamps) is `wall_period` (s, receipt).

        States up to `patience` ns apart belong together.
        """
        self.skipped = 0  # states between two beginnings
        self.jumps = 0  # of the stamps: episodes too, where the robot marks them so
        self._period, self._wall_period = period, wall_period
        self._patience = max(patience, round(1.5 * period))
        self._went_back = -math.inf  # s, when the stamps last did
        self.begin()

    def begin(self) -> None:
        """Forget what was before; counts stay."""
        self._gaps: deque[int] = deque(maxlen=REMEMBERED)  # ns between states that arrived
        self._heard: int | None = None  # ns, the last state that arrived
        self._taken: Moment | None = None
        self._taken_at = 0.0  # s
        self._due = 0  # ns, when the next period begins
        self._still: int | None = None  # the stamp that stands still
        self._still_since = 0, 0.0  # its time (ns) and that of its receipt (s)
        self._compared = 0, 0.0  # ns and s, since when the clocks are compared
        self._speed = 1.0  # of the robot's clock, by that of receipt

    def hear(self, stamp: int, now: float) -> bool:
        """Whether the state of `stamp` (ns) that arrives at `now` (s) may begin a period."""
        time = self._time(stamp, now)
        gap = 0 if self._heard is None else time - self._heard
        if 0 < gap <= self._patience:
            self._gaps.append(gap)
        self._compare(time, now, is_jump=not 0 <= gap <= self._patience)
        self._heard = time
        begins = self._begins(time)
        self.skipped += not begins
        return begins

    def take(self, stamp: int, now: float, changed: bool) -> Moment | None:
        """Begin a control period with a state; None where its stamp is the last one's.

        Unless its numbers `changed` a control period ago: then the stamps stand still.
        """
        if self._taken is not None and self._time(stamp, now) == self._taken.stamp:
            if not changed or now - self._taken_at < self._wall_period:
                return None
            self._still, self._still_since = stamp, (stamp, self._taken_at)
        time, last = self._time(stamp, now), self._taken
        elapsed = 0 if last is None else time - last.stamp
        restart = last is None or not 0 < elapsed <= self._patience
        if last is not None and restart:
            self.jumps += 1
            self._went_back = now if elapsed < 0 else self._went_back
        is_on_time = not restart and abs(time - self._due) <= self._period / 2
        steps = 1 if restart or is_on_time else max(1, round(elapsed / self._period))
        number = steps + (0 if last is None else last.number)
        self._due = (self._due if is_on_time else time) + self._period
        self._taken, self._taken_at = Moment(time, number, restart), now
        return self._taken

    @property
    def rate(self) -> float:
        """States that arrive per second of the robot's clock; NaN before there are two."""
        return 1e9 / self._spacing() if self._gaps else math.nan

    def problem(self, now: float, realtime: bool = True) -> str:
        """What is wrong with the states' times at `now` (s), and what to do; empty: nothing.

        Only in real time does it matter how fast the robot's clock runs.
        """
        if self._still is not None:
            return (
                f'stamps of states stand still at {self._still / 1e9:g} s, time of receipt stands '
                'in: have their publisher fill in header.stamp'
            )
        if now - self._went_back < FRESH:
            return 'stamps of states went back: have one clock for all publishers'
        if self._gaps and self._spacing() > RARE * self._period:
            return (
                f'states come at {self.rate:.3g} Hz, the control rate is '
                f'{1e9 / self._period:.3g} Hz: publish them faster, or train for their rate'
            )
        if realtime and not 1 / RATE_TOLERANCE <= self._speed <= RATE_TOLERANCE:
            return (
                f"the clock of the states runs at {self._speed:.3g} times this computer's: set "
                'speed to that'
            )
        return ''

    def _time(self, stamp: int, now: float) -> int:
        """The robot's time (ns) of a state."""
        if stamp != self._still:
            self._still = None
            return stamp
        time, at = self._still_since
        return time + round((now - at) / self._wall_period * self._period)

    def _begins(self, time: int) -> bool:
        last = self._taken
        if last is None or not 0 <= time - last.stamp <= self._patience:
            return True
        if time == last.stamp:  # once more, or the stamps stand still
            return True
        spacing = self._spacing()
        return spacing >= SAME_RATE * self._period or time >= self._due - spacing / 2

    def _spacing(self) -> int:
        """Time between states (ns), the median; the control period before there are two."""
        return sorted(self._gaps)[len(self._gaps) // 2] if self._gaps else self._period

    def _compare(self, time: int, now: float, is_jump: bool) -> None:
        """How fast the robot's clock runs, over a while without a jump."""
        since, at = self._compared
        if self._heard is None or is_jump:
            self._compared = time, now
        elif now - at >= SPAN:
            self._speed = (time - since) / self._period / ((now - at) / self._wall_period)
            self._compared = time, now
