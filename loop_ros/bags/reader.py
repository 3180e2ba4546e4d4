# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions from any number of bags, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from loop_ros.bags import summary as reasons
from loop_ros.bags.cdr import ARRAY, JOINTS, ODOMETRY
from loop_ros.bags.channel import Burst, Channel
from loop_ros.bags.episodes import EpisodeNumbers, Seen, Sequencer
from loop_ros.bags.labels import LabelCheck
from loop_ros.bags.pairing import Pairing
from loop_ros.bags.storage import OpenBag, find_bags
from loop_ros.bags.summary import Summary
from loop_ros.bags.ticks import Ticks, parsers, robot_channels
from loop_ros.bags.transitions import TransitionDecoder, usable
from loop_ros.layout import transition_layout
from loop_ros.robot.contents import Robot
from loop_ros.sim.task import Task
from loop_ros.types import Array, Rows, Transition

BATCH = 4096
TOLERANCE = 0.5  # of a control period, by which stamps may be off


class BagReader:
    """Reads rosbag2 bags (sqlite3 or MCAP) as one stream of transitions, from the start each time.

    A bag with a topic `transition` is read from it, in any namespace. One without is rebuilt from
    `odom` or `state` and `command` with the task's reward and cost; `rebuild` asks for that in any
    case. `episode` counts from 0 over all bags; an episode that was cut by a gap or the end of
    its bag is truncated with its last transition. `summary` says what was found.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        task: Task,
        tolerance: float = TOLERANCE,
        rebuild: bool = False,
        robot: Robot | None = None,
    ) -> None:
        """Find the bags at `paths`: bag folders, files of bags, or folders that hold bags.

        `tolerance`: by how many control periods stamps within an episode may be off. `robot`:
        of whose topics, of whatever name and type, a bag is rebuilt. ValueError for a path where
        no bag is, and for a robot of another task.
        """
        if robot is not None and robot.task != task:
            raise ValueError(f"the robot file is of task '{robot.task.name}', not '{task.name}'")
        self._robot = robot
        self.summary = Summary()
        self._bags = find_bags([Path(path) for path in paths])
        self._task, self._tolerance, self._rebuild = task, tolerance, rebuild
        self._layout = transition_layout(task)
        self._seen, self._numbers = Seen(), EpisodeNumbers()

    def __iter__(self) -> Iterator[Transition]:
        """Yield transitions one by one; ValueError as for `batches`."""
        for rows in self.batches():
            yield from rows.transitions()

    def batches(self, size: int = BATCH) -> Iterator[Rows]:
        """Yield `size` transitions at a time, fewer at the end.

        ValueError for a bag that holds nothing but transitions of another task, for one without
        the topics, and where there is no reward to rebuild transitions by.
        """
        self.summary = Summary()
        self._seen, self._numbers = Seen(), EpisodeNumbers()
        check = LabelCheck(self._task)
        for values in _regrouped(self._all(), size):
            self.summary.transitions += len(values)
            rows = self._layout.rows(values)
            check.add(rows)
            yield rows
        self.summary.notes += check.describe()

    def _all(self) -> Iterator[Array]:
        for bag in self._bags:
            self.summary.bags += 1
            self.summary.files += len(bag.files)
            with bag.opened() as opened:
                try:
                    yield from self._of(opened)
                finally:
                    for note in opened.notes():
                        self._note(note)

    def _of(self, bag: OpenBag) -> Iterator[Array]:
        topics = bag.topics()
        recorded = {c for c in topics if _last(c.topic) == 'transition' and c.kind == ARRAY}
        if recorded and not self._rebuild:
            yield from self._recorded(bag, recorded)
        elif self._robot is not None:
            yield from self._ticked(bag, topics, self._robot)
        else:
            yield from self._rebuilt(bag, topics)

    def _recorded(self, bag: OpenBag, topics: set[Channel]) -> Iterator[Array]:
        """Values [n, D] of a bag's transition topics."""
        decoder = TransitionDecoder(self._task, self.summary)
        sequencers = {channel: self._sequencer() for channel in topics}
        found = False
        for burst in bag.bursts(topics.__contains__):
            for channel, messages in burst.items():
                values = decoder.decode([data for _, data in messages])
                found = found or len(values) > 0
                yield sequencers[channel].push(self._new(values))
        if decoder.mistake and not found:
            raise ValueError(
                f"bag '{bag.path}' holds no transition of task '{self._task.name}': "
                f'{decoder.mistake}'
            )
        for sequencer in sequencers.values():
            yield sequencer.close()

    def _rebuilt(self, bag: OpenBag, topics: set[Channel]) -> Iterator[Array]:
        """Values [n, D] from a bag's states and commands."""
        robots = self._robots(topics)
        if not robots:
            raise ValueError('; '.join([self._wanting(bag.path, topics), *bag.notes()]))
        pairings = {
            robot: (
                Pairing(self._task, self._tolerance, robot, self.summary, bag.path),
                self._sequencer(),
            )
            for robot in robots
        }
        wanted = {channel for pair in robots for channel in pair}
        before, found = self.summary.dropped.copy(), False
        for burst in bag.bursts(wanted.__contains__):
            for robot, (pairing, sequencer) in pairings.items():
                values = self._sequenced(sequencer, self._pushed(pairing, robot, burst))
                found = found or len(values) > 0
                yield values
        for pairing, sequencer in pairings.values():
            for values in (self._sequenced(sequencer, pairing.close()), sequencer.close()):
                found = found or len(values) > 0
                yield values
        unfit = self.summary.details.keys() & (self.summary.dropped - before)
        if unfit and not found:
            what = '; '.join(f'{reason}: {self.summary.details[reason]}' for reason in unfit)
            raise ValueError(
                f"bag '{bag.path}' holds no transition of task '{self._task.name}': {what}"
            )

    def _ticked(self, bag: OpenBag, topics: set[Channel], robot: Robot) -> Iterator[Array]:
        """Values [n, D] from the topics of a robot file."""
        wanted = robot_channels(robot, topics, bag.path)
        ticks = Ticks(robot, parsers(bag, wanted), self.summary, bag.path)
        sequencer = self._sequencer()
        for burst in bag.bursts(wanted.__contains__):
            yield self._sequenced(sequencer, ticks.push(burst))
        yield self._sequenced(sequencer, ticks.close())
        yield sequencer.close()

    @staticmethod
    def _pushed(pairing: Pairing, robot: tuple[Channel, Channel], burst: Burst) -> Array:
        state, command = robot
        return pairing.push(burst.get(state, []), burst.get(command, []))

    def _sequenced(self, sequencer: Sequencer, values: Array) -> Array:
        if not len(values):
            return values
        values = usable(values, self._layout, self.summary)
        content = values.copy()
        for name in ('episode', 'step'):  # this numbering is our own
            self._layout.named(content)[name] = -1.0
        return sequencer.push(self._new(values, content))

    def _robots(self, topics: set[Channel]) -> list[tuple[Channel, Channel]]:
        """State and command topics that share a namespace."""
        kind, name = self._state_kind(), self._state_name()
        states = [c for c in topics if _last(c.topic) == name and c.kind == kind]
        commands = {c.topic: c for c in topics if _last(c.topic) == 'command' and c.kind == JOINTS}
        pairs = [(s, s.topic.rpartition('/')[0] + '/command') for s in sorted(states)]
        return [(state, commands[name]) for state, name in pairs if name in commands]

    def _wanting(self, bag: Path, topics: set[Channel]) -> str:
        """Which topics a bag lacks, and which are of another type."""
        state = self._state_name()
        kinds = {'transition': ARRAY, 'command': JOINTS, state: self._state_kind()}
        said = f"bag '{bag}' has no topic 'transition', nor '{state}' with 'command'"
        others = [
            f"'{c.topic}' is {c.kind}, expected {kinds[_last(c.topic)]}"
            for c in sorted(topics)
            if kinds.get(_last(c.topic), c.kind) != c.kind
        ]
        listed = f'its topics: {", ".join(sorted(c.topic for c in topics)) or "none"}'
        remedy = ['topics of other names and types are read by a robot file (--robot)']
        return '; '.join([said, *others, listed, *(remedy if topics else [])])

    def _state_kind(self) -> str:
        return ODOMETRY if self._task.odometry else JOINTS

    def _state_name(self) -> str:
        return 'odom' if self._task.odometry else 'state'

    def _new(self, values: Array, content: Array | None = None) -> Array:
        """Without what was there before, by `content` [n, D] where that is not all of it."""
        if not len(values):
            return values
        fresh = self._seen.new(values if content is None else content)
        self.summary.drop(reasons.DUPLICATE, int((~fresh).sum()))
        return values if fresh.all() else values[fresh]

    def _sequencer(self) -> Sequencer:
        period = self._task.control_period
        return Sequencer(self._layout, period, self._tolerance, self._numbers, self.summary)

    def _note(self, text: str) -> None:
        self.summary.notes.append(text)
        logging.getLogger(__name__).warning(text)


def _last(topic: str) -> str:
    return topic.rpartition('/')[2]


def _regrouped(parts: Iterable[Array], size: int) -> Iterator[Array]:
    """The same rows, `size` at a time."""
    pending: list[Array] = []
    count = 0
    for part in parts:
        if not len(part):
            continue
        pending.append(part)
        count += len(part)
        if count < size:
            continue
        rows = np.concatenate(pending) if len(pending) > 1 else pending[0]
        whole = count // size * size
        for start in range(0, whole, size):
            yield rows[start : start + size]
        pending = [rows[whole:].copy()] if whole < count else []
        count -= whole
    if pending:
        yield np.concatenate(pending)
