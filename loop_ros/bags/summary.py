# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was found while reading bags, as counts and as text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

# Why a record is dropped, and why an episode is closed before its own end.
BROKEN = 'broken'
OTHER_LABELS = 'labelled for another task'
NOT_FINITE = 'not finite'
DUPLICATE = 'duplicate'
UNFIT = 'not as the task has it'
NO_ORIENTATION = 'orientation that is none'
NO_NEXT = 'state without a next one'
NO_COMMAND = 'state without a command'
OUT_OF_ORDER = 'older than what came before'
MISSING = 'steps are missing'
JUMP = 'the stamp jumps'
OTHER_EPISODE = 'another episode begins'
END = 'the bag ends'


UNOBSERVED = 'no observation in a control period'
UNREAD = 'no action in a command'


class Reasons:
    """Why something failed and how often; texts that differ in numbers only are one reason."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}  # text of each reason

    def add(self, text: str) -> None:
        """Count a reason."""
        reason = re.sub(r'(?<![\w/])-?\d[\w.+-]*', '', text)
        self.counts[reason] += 1
        self._first.setdefault(reason, text)

    def merge(self, other: Reasons) -> None:
        """Count another's reasons too."""
        self.counts.update(other.counts)
        self._first = other._first | self._first

    def describe(self, what: str) -> list[str]:
        """A line for each reason."""
        return [f'{what}, {count:,} times: {self._first[r]}' for r, count in self.counts.items()]


@dataclass
class Summary:
    """Counts over all bags read so far."""

    bags: int = 0
    files: int = 0
    transitions: int = 0  # that were handed out
    episodes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # records by reason
    details: dict[str, str] = field(default_factory=dict)  # the first of a reason, in words
    clipped: int = 0  # actions beyond the task's limits, which are kept
    closed: Counter[str] = field(default_factory=Counter)  # episodes cut short by reason
    unobserved: Reasons = field(default_factory=Reasons)  # control periods, by a robot file
    unread: Reasons = field(default_factory=Reasons)  # commands, by a robot file
    notes: list[str] = field(default_factory=list)  # damaged files, labels that teach nothing

    def describe(self) -> str:
        """What was found, in a few lines of text."""
        lines = [
            f'{number(self.transitions, "transition")} in {number(self.episodes, "episode")} '
            f'from {number(self.bags, "bag")} ({number(self.files, "file")})'
        ]
        if self.dropped:
            lines.append(f'dropped {number(self.dropped.total(), "record")}: {_list(self.dropped)}')
            lines += [f'{reason}: {detail}' for reason, detail in self.details.items()]
        if self.clipped:
            lines.append(f'{number(self.clipped, "action")} beyond the limits of the task: clipped')
        if self.closed:
            what = number(self.closed.total(), 'episode')
            lines.append(f'closed {what} early: {_list(self.closed)}')
        lines += [*self.unobserved.describe(UNOBSERVED), *self.unread.describe(UNREAD)]
        return '\n'.join([*lines, *self.notes])

    def drop(self, reason: str, count: int = 1, detail: str = '') -> None:
        """Count records that are left out; `detail` says of one what was expected and what came."""
        if count:
            self.dropped[reason] += count
            if detail:
                self.details.setdefault(reason, detail)


def number(count: int, noun: str) -> str:
    """A count with its noun, as '1 bag' or '2,000 bags'."""
    return f'{count:,} {noun}{"" if count == 1 else "s"}'


def _list(counts: Counter[str]) -> str:
    return ', '.join(f'{reason} {count:,}' for reason, count in counts.most_common())
