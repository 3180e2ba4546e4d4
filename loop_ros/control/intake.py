# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions of one robot or many on their way to the learner: a queue and counts for each."""

from __future__ import annotations

import math
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from loop_ros.control.sequence import SequenceCheck
from loop_ros.types import Transition

# Transitions of all robots that wait to be learned; each robot has an equal share.
LARGEST_BACKLOG = 100_000  # about 100 MiB; an hour of a robot at 28 Hz
# From there on transitions are kept for later batches without updates of their own: a learner that
# is too slow would else learn from what happened ever longer ago.
SKIPPED_BACKLOG = 2_000
# Of several robots, each may have so many control rates taken so; what is beyond floods.
MOST_RATES = 2.0
BURST = 1_000  # transitions that may come at once, as after a cut: what a publisher keeps
ERROR_STEPS = 200  # a robot's newest steps, whose model error is said
LEAST_ERROR_STEPS = 50
STANDS_OUT = 3.0  # times the median of the other robots' errors
_RANGE = re.compile(r'(.*?)(\d+)\.\.(\d+)')


@dataclass
class Source:
    """What a robot sent, and what became of it."""

    name: str
    sequence: SequenceCheck = field(default_factory=SequenceCheck)
    queue: deque[Transition] = field(default_factory=deque)
    refused: int = 0  # messages that are no transition of the task
    unusable: int = 0  # transitions that cannot be learned
    held_back: int = 0  # came while its queue was full
    left_out: int = 0  # came while the robot was left out of learning
    learned: int = 0
    skipped: int = 0  # of these, those that are kept without an update
    floods: bool = False  # more comes, for longer, than its control rate explains
    fresh: deque[Transition] = field(default_factory=lambda: deque(maxlen=ERROR_STEPS))
    errors: deque[float] = field(default_factory=lambda: deque(maxlen=ERROR_STEPS))
    model_error: float = math.nan  # mean of these; NaN before there are enough
    allowance: float = BURST  # transitions that may be kept without an update now

    def counts(self) -> dict[str, int]:
        """For diagnostics."""
        return {
            **self.sequence.counts(),
            'refused': self.refused + self.unusable,
            'held back': self.held_back,
            'left out': self.left_out,
            'learned': self.learned,
            'kept without an update': self.skipped,
            'backlog': len(self.queue),
        }

    def keep_errors(self, errors: Iterable[float]) -> None:
        """Take errors of the models in further steps into account."""
        self.errors.extend(errors)
        if len(self.errors) >= LEAST_ERROR_STEPS:
            self.model_error = fmean(self.errors)


class Intake:
    """A queue for each robot, filled by one thread and emptied by another, a robot at a time."""

    def __init__(self, names: Sequence[str] = ('',), rate: float = 1.0) -> None:
        """Of robots with these names and a control rate in Hz."""
        self.sources = {name: Source(name) for name in names}
        self.left_out: frozenset[str] = frozenset()  # names
        self._rate = rate * MOST_RATES
        self._turn: list[Source] = []  # the robots that have theirs before all have another
        self._random = random.Random(0)
        self._then = -math.inf

    @property
    def backlog(self) -> int:
        """Transitions that wait."""
        return sum(len(source.queue) for source in self.sources.values())

    @property
    def lag(self) -> int:
        """Transitions that wait, without those of robots that flood."""
        return sum(len(source.queue) for source in self.sources.values() if not source.floods)

    def put(self, name: str, transition: Transition) -> bool:
        """Queue a transition of a robot, at once; false, and counted, where too many wait."""
        source = self.sources[name]
        if len(source.queue) >= LARGEST_BACKLOG // len(self.sources):
            source.held_back += 1
            return False
        source.queue.append(transition)
        return True

    def take(self) -> tuple[Source, Transition]:
        """The next transition, of each robot in turn; IndexError where none waits.

        The order changes from turn to turn: every n-th transition is held out of the ensemble's
        training, and those must not all be one robot's.
        """
        self._turn = [source for source in self._turn if source.queue]
        if not self._turn:
            self._turn = [source for source in self.sources.values() if source.queue]
            self._random.shuffle(self._turn)
        source = self._turn.pop()
        return source, source.queue.popleft()

    def take_surplus(self, now: float) -> Iterator[tuple[Source, Transition]]:
        """What is beyond the longest backlog at a time `now`, s, to be kept without updates.

        Of a robot among others only what its control rate explains: it would else fill the
        replay buffer alone.
        """
        share = SKIPPED_BACKLOG // len(self.sources)
        earned = self._rate * (now - self._then)
        self._then = now
        for source in self.sources.values():
            surplus = most = max(0, len(source.queue) - share)
            if len(self.sources) > 1:
                source.allowance = min(BURST, source.allowance + earned)
                most = min(surplus, int(source.allowance))
                source.allowance -= most
            source.floods = surplus > most
            for _ in range(most):
                yield source, source.queue.popleft()

    def outliers(self) -> dict[str, float]:
        """Robots in whose steps the models err far more than in the others', and by what factor."""
        errors = {name: source.model_error for name, source in self.sources.items()}
        errors = {name: error for name, error in errors.items() if not math.isnan(error)}
        found = {}
        for name, error in errors.items():
            others = [e for n, e in errors.items() if n != name and n not in self.left_out]
            if others and error > STANDS_OUT * median(others):
                found[name] = error / median(others) if median(others) else math.inf
        return found


def robot_names(text: str) -> tuple[str, ...]:
    """Names with commas between them; `robot_1..3` stands for robot_1, robot_2 and robot_3.

    ValueError for a name that is no namespace, or comes twice.
    """
    names: list[str] = []
    for word in filter(None, map(str.strip, text.split(','))):
        if match := _RANGE.fullmatch(word):
            start, first, last = match[1], int(match[2]), int(match[3])
            if last < first:
                raise ValueError(f'{word!r} names no robot')
            names += [f'{start}{number}' for number in range(first, last + 1)]
        else:
            names.append(word)
    for name in names:
        if not re.fullmatch(r'/?[A-Za-z]\w*(/[A-Za-z]\w*)*', name, re.ASCII):
            raise ValueError(f'{name!r} is no namespace: write robot_1, robot_2 or robot_1..4')
        if names.count(name) > 1:
            raise ValueError(f'{name} is there twice')
    return tuple(names)
