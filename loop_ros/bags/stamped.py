# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of a robot's state and command topics as numbers, each at its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from loop_ros import planar
from loop_ros.bags import summary as reasons
from loop_ros.bags.cdr import JOINTS, ODOMETRY, Buffer, Decoder, Group
from loop_ros.bags.channel import Channel
from loop_ros.bags.summary import Summary
from loop_ros.bags.transitions import clipped
from loop_ros.layout import indices
from loop_ros.sim.task import Task
from loop_ros.types import Array, Flags

ENOUGH = 5  # messages of a topic, by which it is known whether stamps stand still
WAITING = 100_000  # messages after which it is known in any case
WORLD_FRAMES = ('odom', 'map', 'world', 'earth')


class Moment(NamedTuple):
    """What a message says, in the order of receipt."""

    received: int  # ns
    stamp: int  # ns; as `received` where stamps stand still
    is_state: bool
    numbers: Array  # [O] or [A]


class Messages:
    """States and commands of one robot; what cannot be used is counted, by reason."""

    def __init__(self, task: Task, state: Channel, command: Channel, summary: Summary) -> None:
        """`state` and `command` are the robot's topics."""
        self._task, self._summary = task, summary
        self._names = {True: state.topic, False: command.topic}
        self._decoders = {
            True: Decoder(ODOMETRY if task.odometry else JOINTS),
            False: Decoder(JOINTS),
        }
        self._waiting: list[Moment] = []
        self._is_still: bool | None = None  # whether stamps are none

    def push(
        self, states: Sequence[tuple[int, Buffer]], commands: Sequence[tuple[int, Buffer]]
    ) -> list[Moment]:
        """Messages, each with its time of receipt (ns), by that time."""
        found = [*self._read(commands, is_state=False), *self._read(states, is_state=True)]
        found.sort(key=lambda moment: moment.received)
        if self._is_still is None:
            self._waiting += found
            of_states = sum(moment.is_state for moment in self._waiting)
            few = min(of_states, len(self._waiting) - of_states) < ENOUGH
            return [] if few and len(self._waiting) < WAITING else self.close()
        return self._timed(found)

    def close(self) -> list[Moment]:
        """Those that waited until it was known whether they have stamps."""
        if self._is_still is None:
            self._is_still = False
            for is_state, topic in self._names.items():
                stamps = [m.stamp for m in self._waiting if m.is_state == is_state]
                if set(stamps) == {0} or (len(stamps) >= ENOUGH and len(set(stamps)) == 1):
                    self._is_still = True
                    self._summary.notes.append(
                        f"stamps of '{topic}' stand still at {stamps[0] / 1e9:g} s: its messages "
                        'are taken by the time of their receipt'
                    )
        found, self._waiting = self._waiting, []
        return self._timed(found)

    def _timed(self, found: list[Moment]) -> list[Moment]:
        return [m._replace(stamp=m.received) for m in found] if self._is_still else found

    def _read(self, messages: Sequence[tuple[int, Buffer]], is_state: bool) -> list[Moment]:
        decoder, topic = self._decoders[is_state], self._names[is_state]
        before = decoder.broken
        found: list[Moment] = []
        for group in decoder.decode([data for _, data in messages]):
            try:
                numbers = self._observation(group) if is_state else self._action(group)
            except ValueError as error:
                self._summary.drop(reasons.UNFIT, len(group.index), f"'{topic}': {error}")
                continue
            good = self._usable(group, numbers, is_state)
            stamps = group.stamps().tolist()
            for place in np.flatnonzero(good).tolist():
                time = messages[int(group.index[place])][0]
                found.append(Moment(time, stamps[place], is_state, numbers[place]))
        self._summary.drop(reasons.BROKEN, decoder.broken - before)
        return found

    def _usable(self, group: Group, numbers: Array, is_state: bool) -> Flags:
        finite: Flags = np.isfinite(numbers).all(axis=1)
        if is_state and self._task.odometry and 'yaw' in self._task.observation_labels:
            norm = np.linalg.norm(group.numbers('pose')[:, 3:], axis=1)
            none = ~finite & np.isfinite(norm) & ~planar.is_turn(norm)
            if none.any():
                what = (
                    f"'{self._names[True]}': a quaternion of norm {norm[none][0]:.3g}, expected 1"
                )
                self._summary.drop(reasons.NO_ORIENTATION, int(none.sum()), what)
            self._summary.drop(reasons.NOT_FINITE, int((~finite & ~none).sum()))
        else:
            self._summary.drop(reasons.NOT_FINITE, int((~finite).sum()))
        return finite

    def _observation(self, group: Group) -> Array:
        """Observations [n, O]; NaN where an orientation is none."""
        labels = self._task.observation_labels
        if self._task.odometry:
            _check_frames(*group.template.names)
            return _odometry(group)[:, [planar.FIELDS.index(label) for label in labels]]
        return _interface(group, 'position')[:, indices(group.template.names, labels)]

    def _action(self, group: Group) -> Array:
        """Actions [n, A] inside the limits, as the actuators take them."""
        order = indices(group.template.names, self._task.action_labels)
        columns = [
            _interface(group, interface)[:, place]
            for place, interface in zip(order, self._task.action_interfaces, strict=True)
        ]
        return clipped(np.stack(columns, axis=1), self._task, self._summary)


def _check_frames(frame: str, child: str) -> None:
    """ValueError where an odometry's twist is not the robot's own (nav_msgs/Odometry, REP 105)."""
    if child and (child == frame or child.rpartition('/')[2] in WORLD_FRAMES):
        raise ValueError(
            f"child_frame_id is '{child}', a twist in the world; expected the robot's own frame, "
            "as 'base_link'"
        )


def _interface(group: Group, name: str) -> Array:
    """Positions, velocities or efforts [n, names]."""
    numbers, names = group.numbers(name), list(group.template.names)
    if numbers.shape[1] != len(names):
        raise ValueError(f'{numbers.shape[1]} values of {name}, expected one for each of {names}')
    return numbers


def _odometry(group: Group) -> Array:
    """Numbers [n, 6] in the order of `planar.FIELDS`; NaN where the orientation is none."""
    pose, twist = group.numbers('pose'), group.numbers('twist')
    yaw = planar.yaw_from_quaternion(*pose[:, 3:].T)
    return np.stack((pose[:, 0], pose[:, 1], yaw, twist[:, 0], twist[:, 1], twist[:, 5]), axis=1)
