# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions of a robot that publishes none, from its states and the commands it was given.

In this project's stack a command repeats the stamp of the state that it answers, which pairs them
exactly. Elsewhere the command that acted on the way to the next state is the latest before it.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from loop_ros import planar
from loop_ros.bags import summary as reasons
from loop_ros.bags.cdr import JOINTS, ODOMETRY, Buffer, Decoder, Group
from loop_ros.bags.rebuilding import Step, check, judged
from loop_ros.bags.summary import Summary
from loop_ros.layout import indices
from loop_ros.sim.task import Task
from loop_ros.types import Array

LAG = 1_000_000_000  # ns by which messages of two topics may be out of step in a bag

Stamped = tuple[int, bool, Array]  # ns, whether it is a state, its numbers


class Pairing:
    """States and commands of one robot, to transitions [n, D]."""

    def __init__(self, task: Task, tolerance: float, summary: Summary) -> None:
        """`tolerance` is by how much of a control period a stamp may be off."""
        check(task)
        self._task, self._summary = task, summary
        self._period = round(task.control_period * 1e9)
        self._slack = round(tolerance * task.control_period * 1e9)
        self._state_decoder = Decoder(ODOMETRY if task.odometry else JOINTS)
        self._command_decoder = Decoder(JOINTS)
        self._states: list[tuple[int, Array]] = []  # by stamp
        self._commands: list[tuple[int, Array]] = []
        self._exact: bool | None = None  # whether commands repeat the stamps of states
        self._received: bool | None = None  # whether time of receipt stands in for stamps
        self._step = 0
        self._found: list[Step] = []

    def push(
        self, states: Sequence[tuple[int, Buffer]], commands: Sequence[tuple[int, Buffer]]
    ) -> Array:
        """What is certain once these messages, each with its time of receipt, are known."""
        events = self._events(commands, False) + self._events(states, True)
        events.sort(key=lambda event: event[0])
        for _, (stamp, is_state, numbers) in events:
            self._take(stamp, is_state, numbers)
        newest = max((entry[-1][0] for entry in (self._states, self._commands) if entry), default=0)
        self._drain(newest - LAG)
        return self._values()

    def close(self) -> Array:
        """What is left at the end of the bag."""
        self._drain(None)
        return self._values()

    def _events(
        self, messages: Sequence[tuple[int, Buffer]], is_state: bool
    ) -> list[tuple[int, Stamped]]:
        """Readable messages by time of receipt."""
        decoder = self._state_decoder if is_state else self._command_decoder
        times = [time for time, _ in messages]
        before = decoder.broken
        events: list[tuple[int, Stamped]] = []
        for group in decoder.decode([data for _, data in messages]):
            try:
                numbers = self._observation(group) if is_state else self._action(group)
            except ValueError:
                self._summary.drop(reasons.OTHER_LABELS, len(group.index))
                continue
            finite = np.isfinite(numbers).all(axis=1)
            self._summary.drop(reasons.NOT_FINITE, int((~finite).sum()))
            stamps = group.stamps()
            if self._received is None and not is_state and (stamps.any() or len(stamps) > 1):
                self._received = not stamps.any()  # the publisher of commands leaves it out
            for place, stamp, row, good in zip(
                group.index.tolist(), stamps.tolist(), numbers, finite.tolist(), strict=True
            ):
                if good:
                    time = times[place]
                    events.append((time, (time if self._received else stamp, is_state, row)))
        self._summary.drop(reasons.BROKEN, decoder.broken - before)
        return events

    def _observation(self, group: Group) -> Array:
        """Observations [n, O]; NaN where an orientation is none."""
        if self._task.odometry:
            order = [planar.FIELDS.index(label) for label in self._task.observation_labels]
            return _odometry(group)[:, order]
        names = group.template.names
        order = indices(names, self._task.observation_labels)
        return _interface(group, 'position')[:, order]

    def _action(self, group: Group) -> Array:
        """Actions [n, A] inside the limits, as the actuators take them."""
        order = indices(group.template.names, self._task.action_labels)
        columns = [
            _interface(group, interface)[:, place]
            for place, interface in zip(order, self._task.action_interfaces, strict=True)
        ]
        return np.clip(np.stack(columns, axis=1), self._task.action_low, self._task.action_high)

    def _take(self, stamp: int, is_state: bool, numbers: Array) -> None:
        entries = self._states if is_state else self._commands
        if entries and stamp <= entries[-1][0]:
            if stamp < entries[-1][0] - LAG:  # the clock began again
                self._drain(None)
            else:
                same = stamp == entries[-1][0]
                self._summary.drop(reasons.DUPLICATE if same else reasons.OUT_OF_ORDER)
                return
        (self._states if is_state else self._commands).append((stamp, numbers))

    def _drain(self, until: int | None) -> None:
        """Pair the states whose next one is known for certain; None: all, and forget the rest."""
        stamps = [stamp for stamp, _ in self._states]
        times = [stamp for stamp, _ in self._commands]
        if self._exact is None and times and stamps:
            self._exact = not set(times).isdisjoint(stamps)
        place = 0
        while place < len(stamps):
            limit = stamps[place] + self._period + self._slack
            if until is not None and limit > until:
                break
            place = self._pair(place, stamps, times)
        if until is None:
            self._states, self._commands, self._step = [], [], self._step + 2
            return
        needed = (stamps[place] if place < len(stamps) else until) - self._slack
        self._states = self._states[place:]
        self._commands = self._commands[max(0, bisect.bisect_left(times, needed) - 1) :]

    def _pair(self, place: int, stamps: list[int], times: list[int]) -> int:
        """Pair one state with its command and its next state; the place of the next state."""
        stamp = stamps[place]
        due = stamp + self._period
        after = bisect.bisect_left(stamps, due, place + 1)
        nearest = min(
            range(max(place + 1, after - 1), min(after + 1, len(stamps))),
            key=lambda index: abs(stamps[index] - due),
            default=None,
        )
        if nearest is None or abs(stamps[nearest] - due) > self._slack:
            self._step += 2  # a step is missing
            return place + 1
        acting = bisect.bisect_left(times, stamps[nearest]) - 1
        if self._exact:
            acting = bisect.bisect_right(times, stamp) - 1
        earliest = stamp if self._exact else stamp - self._slack
        if acting < 0 or times[acting] < earliest:
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


def _interface(group: Group, name: str) -> Array:
    """Positions, velocities or efforts [n, names]."""
    numbers = group.numbers(name)
    if numbers.shape[1] != len(group.template.names):
        raise ValueError(f'{name} has {numbers.shape[1]} values for other names')
    return numbers


def _odometry(group: Group) -> Array:
    """Numbers [n, 6] in the order of `planar.FIELDS`; NaN where the orientation is none."""
    pose, twist = group.numbers('pose'), group.numbers('twist')
    yaw = planar.yaw_from_quaternion(*pose[:, 3:].T)
    return np.stack((pose[:, 0], pose[:, 1], yaw, twist[:, 0], twist[:, 1], twist[:, 5]), axis=1)
