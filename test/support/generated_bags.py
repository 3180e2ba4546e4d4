# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of every kind with the truth of what happened: numbers of messages tell which they are."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bag_files import (
    ARRAY,
    JOINTS,
    ODOMETRY,
    SECOND,
    TASK,
    Message,
    command,
    drive,
    odometry,
    transition_bytes,
)
from hypothesis import strategies as st
from packed_bags import COMPRESSIONS, STORAGES, write_parts

from loop_ros.types import Array, Transition

PERIOD = round(TASK.control_period * SECOND)
LOW, HIGH = TASK.action_low[1], TASK.action_high[1]
MOST = 400  # states or commands, whose number the steering angle tells


@dataclass(frozen=True)
class Storage:
    """How messages are put into files."""

    kind: str
    compression: str
    files: int
    metadata: bool
    is_sorted: bool  # by time of receipt, within a file
    cut: float | None  # share of the last file that is left


@dataclass(frozen=True)
class Losses:
    """Shares of messages that are missing, there twice, or cut to half."""

    missing: float
    twice: float
    broken: float


@dataclass
class Topic:
    """The messages of a topic in the order of their receipt, and what is known of them."""

    received: list[int] = field(default_factory=list)  # ns
    numbers: list[int] = field(default_factory=list)  # which states, commands or transitions
    is_broken: list[bool] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def usable(self) -> list[tuple[int, int]]:
        """Number and time of receipt of those that can be read."""
        each = zip(self.numbers, self.received, self.is_broken, strict=True)
        return [(number, time) for number, time, broken in each if not broken]


losses = st.builds(
    Losses,
    missing=st.sampled_from([0.0, 0.05, 0.3]),
    twice=st.sampled_from([0.0, 0.1]),
    broken=st.sampled_from([0.0, 0.05]),
)
storages = st.builds(
    Storage,
    kind=st.sampled_from(STORAGES),
    compression=st.sampled_from(COMPRESSIONS),
    files=st.integers(1, 3),
    metadata=st.booleans(),
    is_sorted=st.booleans(),
    cut=st.none() | st.floats(0.0, 1.0),
)


def topic(
    name: str, kind: str, sent: list[tuple[int, bytes]], lost: Losses, late: int, rng: random.Random
) -> Topic:
    """What is recorded of messages that were sent at times (ns), up to `late` ns afterwards."""
    found: list[tuple[int, int, bool, Message]] = []
    for number, (time, data) in enumerate(sent):
        if rng.random() < lost.missing:
            continue
        is_broken = rng.random() < lost.broken
        for _ in range(1 + (rng.random() < lost.twice)):
            received = time + rng.randint(0, late)
            part = data[: len(data) // 2] if is_broken else data
            found.append((received, number, is_broken, (name, kind, received, part)))
    found.sort(key=lambda each: each[0])  # stable, as readers sort
    return Topic(*(list(each) for each in zip(*found, strict=True))) if found else Topic()


def write(folder: Path, messages: list[Message], how: Storage, rng: random.Random) -> Path:
    """A bag of messages in a new folder."""
    messages = sorted(messages, key=lambda message: message[2])
    edges = [len(messages) * number // how.files for number in range(how.files + 1)]
    parts = [messages[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    if not how.is_sorted:
        parts = [rng.sample(part, len(part)) for part in parts]
    whole = tuple(tuple(part) for part in parts if part)
    write_parts(folder, whole, how.compression, how.kind, how.metadata)
    if how.cut is not None:
        last = sorted(folder.glob('bag_*'))[-1]
        data = last.read_bytes()
        last.write_bytes(data[: int(how.cut * len(data))])
    return folder


@dataclass(frozen=True)
class Robot:
    """One that publishes states and takes commands."""

    states: list[int]  # ns, when each was
    commands: list[int]
    repeats: bool  # whether a command's stamp is that of the state that it answers

    @classmethod
    def driven(
        cls, count: int, rate: float, jitter: float, repeats: bool, rng: random.Random
    ) -> Robot:
        """`rate` of states and `jitter` of their times, in control periods."""
        gap = PERIOD / rate
        states = [
            SECOND + round(gap * (number + jitter * rng.uniform(-0.5, 0.5)))
            for number in range(count)
        ]
        if repeats:
            return cls(states, states, repeats)
        times = range(SECOND + PERIOD // 7, states[-1], PERIOD * 2 // 3)
        return cls(states, list(times)[:MOST], repeats)

    def sent(self, stamped: bool) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
        """States and commands with the time (ns) at which they were sent."""
        states = [
            (time, odometry(_observation(number), time if stamped else 0))
            for number, time in enumerate(self.states)
        ]
        delay = 1_000_000 if self.repeats else 0
        commands = [
            (time + delay, command(_action(number), time if stamped else 0))
            for number, time in enumerate(self.commands)
        ]
        return states, commands


def _observation(number: int) -> Array:
    return np.array([number, 1.0, 0.1, 1.0, 0.2, 0.3])


def _action(number: int) -> Array:
    return np.array([2.0, LOW + (HIGH - LOW) * (number + 1) / (MOST + 1)])


def state_of(observation: Array) -> int:
    """The number of a state."""
    return round(float(observation[0]))


def command_of(action: Array) -> int:
    """The number of a command."""
    return round((float(action[1]) - LOW) / (HIGH - LOW) * (MOST + 1)) - 1


def recorded_transitions(episodes: int, steps: int) -> tuple[list[Transition], list[Message]]:
    """Transitions and the messages of them."""
    found = drive(episodes, steps)
    times = [SECOND + round(t.stamp * SECOND) for t in found]
    data = [transition_bytes(t) for t in found]
    return found, [('/transition', ARRAY, *each) for each in zip(times, data, strict=True)]


STATE, COMMAND, TRANSITION = ('/odom', ODOMETRY), ('/command', JOINTS), ('/transition', ARRAY)
