# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot's own topics to transitions, by the session with which its node makes them as a shadow.

Time is that of receipt, by which the node goes too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loop_ros.bags import messages
from loop_ros.bags import summary as reasons
from loop_ros.bags.cdr import Buffer
from loop_ros.bags.channel import Burst, Channel, absolute
from loop_ros.bags.pairing import LAG
from loop_ros.bags.rates import Rates
from loop_ros.bags.storage import OpenBag
from loop_ros.bags.summary import UNOBSERVED, UNREAD, Reasons, Summary
from loop_ros.bags.transitions import clipped
from loop_ros.layout import transition_layout
from loop_ros.robot import command
from loop_ros.robot.contents import Input, Output, Robot
from loop_ros.robot.session import Session
from loop_ros.types import Array, Rows, Transition

SILENCE = 1_000_000_000  # ns without a command, after which `on_silence: safe` holds
PASSED_OVER = 100  # control periods without a message, of which none is gone through
Parse = Callable[[Buffer], Any]


class Event(NamedTuple):
    """A message, in the order of receipt."""

    time: int  # ns
    order: int
    topic: str
    data: Buffer


class Ticks:
    """Messages of one robot to transitions [n, D]: one a control period, where nothing is missing.

    A command holds until the next one, or as the robot file says for silence.
    """

    def __init__(
        self, robot: Robot, parsers: Mapping[str, Parse], summary: Summary, bag: Path
    ) -> None:
        """`parsers` make messages of serialized bytes, by topic; `bag` is what errors name."""
        self._robot, self._summary, self._parsers, self._bag = robot, summary, parsers, bag
        self._period = round(robot.task.control_period * 1e9)
        self._session = Session(robot, SILENCE / 1e9, shadow=True)
        self._events: list[Event] = []  # received, but others may still come before them
        self._order = 0
        self._fresh: dict[str, Event] = {}  # the newest of each topic since the last tick
        self._due: int | None = None  # ns, the next tick
        self._commanded: int | None = None  # ns, when the first command came
        self._silent: int | None = None  # ns, when the robot gives up waiting for another one
        self._found: list[Transition] = []
        self._observed = False  # whether there ever was an observation
        self._missing, self._unread = Reasons(), Reasons()
        self._inputs: dict[str, list[str]] = {}  # names by topic
        for name, each in robot.inputs.items():
            self._inputs.setdefault(absolute(each.topic), []).append(name)
        aged = {absolute(each.topic) for each in robot.inputs.values() if each.max_age < np.inf}
        self._rates = Rates(bag, robot.task, aged)  # goals may be as rare as they are
        self._measured = aged or set(self._inputs)

    def push(self, burst: Burst) -> Array:
        """What is certain once these messages are known; ValueError where they are too rare."""
        for channel, received in burst.items():
            for time, data in received:
                self._events.append(Event(time, self._order, channel.topic, data))
                self._order += 1
        newest = max((event.time for event in self._events), default=0)
        return self._advance(newest - LAG)

    def close(self) -> Array:
        """What is left at the end of the bag; ValueError as for `push`."""
        values = self._advance(None)
        self._rates.close()
        if not self._observed or (self._commanded is None and self._unread.counts):
            found = [*self._missing.describe(UNOBSERVED), *self._unread.describe(UNREAD)]
            raise ValueError(
                f"{self._robot.path} does not fit bag '{self._bag}': {'; '.join(found)}"
            )
        self._summary.unobserved.merge(self._missing)
        self._summary.unread.merge(self._unread)
        return values

    def _advance(self, until: int | None) -> Array:
        """Go through the events up to a time; None: all of them."""
        self._events.sort()
        done = 0
        for event in self._events:
            if until is not None and event.time > until:
                break
            self._tick_until(event.time)
            self._take(event)
            done += 1
        del self._events[:done]
        return self._values()

    def _take(self, event: Event) -> None:
        if event.topic in self._inputs:
            self._rates.take(event.topic, event.time)
            self._fresh[event.topic] = event  # what comes between two ticks is not looked at
        if event.topic == absolute(self._robot.command.topic):
            message = self._parsed(event)
            if message is not None:
                self._drive(event.time, message)

    def _drive(self, time: int, message: Any) -> None:
        """A command is in force from now on."""
        try:
            action = command.read(self._robot.command.components, message, self._robot.task)
        except ValueError as error:
            self._unread.add(str(error))
            return
        action = clipped(action, self._robot.task, self._summary)
        self._fall_silent(time)
        self._session.drive(action, time / 1e9)
        self._commanded = time if self._commanded is None else self._commanded
        if not self._robot.command.hold_on_silence:
            self._silent = time + SILENCE

    def _fall_silent(self, now: int) -> None:
        """The safe command is in force since the robot gave up waiting, if it did."""
        if self._silent is not None and self._silent <= now:
            self._session.drive(np.array(self._robot.task.safe_command), self._silent / 1e9)
            self._silent = None

    def _parsed(self, event: Event) -> Any:
        try:
            return self._parsers[event.topic](event.data)
        except ValueError:
            self._summary.drop(reasons.BROKEN)
            return None

    def _tick_until(self, time: int) -> None:
        """All ticks that were due before a message came."""
        if self._due is None or time < self._due - self._period - LAG:
            self._session.begin(time / 1e9)  # as again where the clock was set back
            self._due, self._fresh, self._commanded, self._silent = time, {}, None, None
        elif time > self._due + PASSED_OVER * self._period:
            self._session.episodes.begin()
            self._due = time
        while self._due < time:
            self._tick(self._due)
            self._due += self._period

    def _tick(self, now: int) -> None:
        fresh, self._fresh = self._fresh, {}
        for topic, event in fresh.items():
            message = self._parsed(event)
            for name in self._inputs[topic] if message is not None else ():
                self._session.assembler.put(name, message, event.time / 1e9)
        self._fall_silent(now)
        tick = self._session.tick(now / 1e9)
        self._observed = self._observed or not tick.missing
        if tick.missing:
            self._missing.add(tick.missing)
        elif self._measured.isdisjoint(fresh):  # the same observation as before is none
            self._session.episodes.gap()
        elif tick.transition is not None:
            self._keep(tick.transition, now)

    def _keep(self, transition: Transition, now: int) -> None:
        if self._commanded is None or self._commanded > now - self._period:
            self._summary.drop(reasons.NO_COMMAND)
        else:
            self._found.append(transition)

    def _values(self) -> Array:
        """The transitions found since the last call."""
        found, self._found = self._found, []
        layout = transition_layout(self._robot.task)
        return layout.table(Rows.of(found)) if found else np.empty((0, layout.dim))


def robot_channels(robot: Robot, topics: set[Channel], bag: Path) -> set[Channel]:
    """The topics of a robot file in a bag; ValueError that names those that are not there."""
    listened: list[Input | Output] = [*robot.inputs.values(), robot.command]
    wanted = {Channel(absolute(each.topic), each.type) for each in listened}
    if wanted <= topics:
        return wanted
    kinds = {channel.topic: channel.kind for channel in topics}
    lines = {absolute(each.topic): each.line for each in listened}
    found = [
        f"{robot.where(lines[topic])}: the bag has no '{topic}'"
        if topic not in kinds
        else f"{robot.where(lines[topic])}: '{topic}' is {kinds[topic]} in the bag, not {kind}"
        for topic, kind in sorted(wanted - topics)
    ]
    has = ', '.join(sorted(kinds)) or 'none'
    raise ValueError('\n'.join([f"bag '{bag}', which has the topics {has}:", *found]))


def parsers(bag: OpenBag, channels: set[Channel]) -> dict[str, Parse]:
    """What makes messages of serialized bytes, by topic; ValueError for an unknown type."""
    found = bag.definitions({channel.kind for channel in channels})
    return {c.topic: messages.reader(c.kind, found.get(c.kind)) for c in channels}
