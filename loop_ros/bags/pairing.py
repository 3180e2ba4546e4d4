# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions of a robot that publishes none, from its states and the commands it was given.

In this project's stack a command repeats the stamp of the state that it answers, which pairs them
exactly. Elsewhere the command that acted on the way to the next state is the latest before it.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from pathlib import Path

from loop_ros.bags import summary as reasons
from loop_ros.bags.cdr import Buffer
from loop_ros.bags.channel import Channel
from loop_ros.bags.rates import Rates
from loop_ros.bags.rebuilding import Step, check, judged
from loop_ros.bags.stamped import Messages, Moment
from loop_ros.bags.summary import Summary
from loop_ros.sim.task import Task
from loop_ros.types import Array

LAG = 1_000_000_000  # ns by which messages of two topics may be out of step in a bag
AHEAD = 20  # control periods that are looked at to know a rate, whatever a file holds together
ENOUGH = 10  # intervals by which it is known
SAME_RATE = 0.9  # of a control period: states that far apart are the control rate itself


class Pairing:
    """States and commands of one robot, to transitions [n, D].

    States that come faster than the task's control rate are sampled at that rate.
    """

    def __init__(
        self,
        task: Task,
        tolerance: float,
        topics: tuple[Channel, Channel],
        summary: Summary,
        bag: Path,
    ) -> None:
        """`tolerance` is by how much of a control period a stamp may be off.

        `topics` are those of states and of commands, `bag` is what errors name.
        """
        check(task)
        self._task, self._summary = task, summary
        self._period = round(task.control_period * 1e9)
        self._slack = round(tolerance * task.control_period * 1e9)
        self._ahead = max(AHEAD * self._period, self._period + 2 * self._slack)
        self._messages = Messages(task, *topics, summary)
        self._rates, self._state_topic = Rates(bag, task, {topics[0].topic}), topics[0].topic
        self._states: list[tuple[int, Array]] = []  # by stamp
        self._commands: list[tuple[int, Array]] = []
        self._exact: bool | None = None  # whether commands repeat the stamps of states
        self._due: int | None = None  # ns, where the period of the next state began on time
        self._spacing: int | None = None  # ns between states
        self._step = 0
        self._found: list[Step] = []

    def push(
        self, states: Sequence[tuple[int, Buffer]], commands: Sequence[tuple[int, Buffer]]
    ) -> Array:
        """What is certain once these messages, each with its time of receipt, are known.

        ValueError where states are too rare for the task.
        """
        self._take(self._messages.push(states, commands))
        newest = max((entry[-1][0] for entry in (self._states, self._commands) if entry), default=0)
        self._drain(newest - LAG)
        return self._values()

    def close(self) -> Array:
        """What is left at the end of the bag; ValueError as for `push`."""
        self._take(self._messages.close())
        self._rates.close()
        self._drain(None)
        return self._values()

    def _take(self, moments: Sequence[Moment]) -> None:
        for _, stamp, is_state, numbers in moments:
            entries = self._states if is_state else self._commands
            if entries and stamp <= entries[-1][0]:
                if stamp >= entries[-1][0] - LAG:
                    same = stamp == entries[-1][0]
                    self._summary.drop(reasons.DUPLICATE if same else reasons.OUT_OF_ORDER)
                    continue
                self._drain(None)  # the clock began again
            if is_state:
                self._rates.take(self._state_topic, stamp)
            (self._states if is_state else self._commands).append((stamp, numbers))

    def _drain(self, until: int | None) -> None:
        """Pair the states whose next one is known for certain; None: all, and forget the rest."""
        stamps = [stamp for stamp, _ in self._states]
        times = [stamp for stamp, _ in self._commands]
        place = 0
        while place < len(stamps):
            limit = stamps[place] + self._ahead
            if until is not None and limit > until:
                break
            near = stamps[place : bisect.bisect_right(stamps, limit)]
            if self._exact is None and times:
                self._exact = not set(times[: bisect.bisect_right(times, limit)]).isdisjoint(near)
            self._measure(near)
            place = self._pair(place, stamps, times)
        if until is None:
            self._states, self._commands, self._step = [], [], self._step + 2
            self._due = None
            return
        needed = (stamps[place] if place < len(stamps) else until) - self._slack
        self._states = self._states[place:]
        self._commands = self._commands[max(0, bisect.bisect_left(times, needed) - 1) :]

    def _measure(self, stamps: list[int]) -> None:
        """How far states are apart, by the next ones."""
        gaps = sorted(b - a for a, b in zip(stamps, stamps[1:], strict=False))
        if len(gaps) >= ENOUGH or (gaps and self._spacing is None):
            self._spacing = gaps[len(gaps) // 2]

    def _pair(self, place: int, stamps: list[int], times: list[int]) -> int:
        """Pair one state with its command and its next state; the place of the next state."""
        stamp = stamps[place]
        begun = self._due if self._due is not None else stamp
        is_faster = (self._spacing or self._period) < SAME_RATE * self._period
        due = (begun if is_faster else stamp) + self._period
        after = bisect.bisect_left(stamps, due, place + 1)
        nearest = min(
            range(max(place + 1, after - 1), min(after + 1, len(stamps))),
            key=lambda index: abs(stamps[index] - due),
            default=None,
        )
        # Off the schedule, or off this state, which may be so itself.
        dues = due, stamp + self._period
        if nearest is None or max(abs(stamps[nearest] - d) for d in dues) > self._slack:
            self._due = None
            self._step += 2  # a step is missing
            self._summary.drop(reasons.NO_NEXT, int(stamps[-1] > due + self._slack))
            return place + 1
        self._due = due
        acting = bisect.bisect_left(times, stamps[nearest]) - 1
        answer = bisect.bisect_left(times, stamp)
        if self._exact and answer <= acting and times[answer] == stamp:
            acting = answer
        if acting < 0 or times[acting] < stamp - self._slack:
            self._summary.drop(reasons.NO_COMMAND)
            self._step += 2
            return nearest
        observation, following = self._states[place][1], self._states[nearest][1]
        action = self._commands[acting][1]
        self._found.append(Step(stamp, self._step, observation, action, following))
        self._step += 1
        return nearest

    def _values(self) -> Array:
        """The pairs found so far with the task's reward, cost and end, as a table [n, D]."""
        found, self._found = self._found, []
        return judged(found, self._task)
