# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a snapshot says of an event: what happened, and what would have been planned otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from loop_ros.cli.replay_summary import DIFFERENT
from loop_ros.control.supervisor import NAMES, PLAN, is_next
from loop_ros.outlook import Outlook
from loop_ros.snapshots.files import Snapshot
from loop_ros.snapshots.rerun import Tick
from loop_ros.types import Array, Integers

# What a person calls a trigger.
EVENTS = {
    'stop': 'the robot was stopped',
    'hold': 'the robot was held',
    'distrust': 'the model was no longer trusted',
    'refused_weights': 'new weights were refused',
    'missed_periods': 'plans came too late',
    'asked': 'a snapshot was asked for',
}


@dataclass(frozen=True)
class Span:
    """Commands in a row from one level, for one reason."""

    begin: float  # s, since the event
    end: float
    level: int
    reason: str
    commands: int


@dataclass
class Alternatives:
    """What the planner would have done at other thresholds, in N plans before the event."""

    thresholds: list[float]
    rows: list[int] = field(default_factory=list)  # of the plans
    outlooks: list[Outlook] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)  # all that were made again

    @property
    def heeded(self) -> bool:
        """Whether the planner heeds d0 at all."""
        return any(each.heeded for each in self.outlooks)

    def differs(self, snapshot: Snapshot, place: int) -> list[int]:
        """Which of the plans differ at a threshold by more than DIFFERENT of an action's range."""
        task, plans = snapshot.task, snapshot.columns.plans
        range_ = np.asarray(task.action_high) - np.asarray(task.action_low)
        found = []
        for number, (row, each) in enumerate(zip(self.rows, self.outlooks, strict=True)):
            distance = np.abs(each.alternatives.actions[place] - plans.sequence[row, 0]) / range_
            if distance.max() > DIFFERENT:
                found.append(number)
        return found


def seconds(snapshot: Snapshot, times: Integers) -> Array:
    """Times by the wall clock (ns) as s since the event."""
    return np.asarray((times - snapshot.triggers[0].time) / 1e9)


def before(snapshot: Snapshot, length: float) -> list[int]:
    """The plans of the last so many seconds before the event; the last one where none is."""
    since = seconds(snapshot, snapshot.columns.plans.time)
    rows = np.flatnonzero((since <= 0) & (since >= -length))
    earlier = np.flatnonzero(since <= 0)[-1:]
    return [int(row) for row in (rows if len(rows) else earlier)]


def spans(snapshot: Snapshot) -> list[Span]:
    """The commands, those of one level and reason together."""
    commands = snapshot.columns.commands
    since = seconds(snapshot, commands.time)
    found: list[Span] = []
    for at, level, reason in zip(since.tolist(), commands.level, commands.reason, strict=True):
        text = snapshot.reasons[int(reason)]
        if found and (found[-1].level, found[-1].reason) == (level, text):
            last = found.pop()
            found.append(Span(last.begin, at, last.level, text, last.commands + 1))
        else:
            found.append(Span(at, at, int(level), text, 1))
    return found


def prediction_errors(snapshot: Snapshot) -> Array:
    """By how much each plan's state was off what the plan before said, in its own deviations [T].

    The most of any component; NaN where that plan was not followed, or said nothing.
    """
    plans, commands = snapshot.columns.plans, snapshot.columns.commands
    period = round(snapshot.task.control_period * 1e9)
    followed = set(commands.stamp[(commands.level == PLAN) & commands.answers].tolist())
    found = np.full(len(plans.stamp), np.nan)
    stamps = plans.stamp.tolist()
    for row, (last, stamp) in enumerate(zip(stamps, stamps[1:], strict=False)):
        std = plans.next_std[row]
        if last in followed and is_next(last, stamp, period) and (std > 0).all():
            error = np.abs(plans.states[row + 1, 0] - plans.next_state[row]) / std
            found[row + 1] = error.max()
    return found


def sentences(snapshot: Snapshot, alternatives: Alternatives) -> list[str]:
    """What a person wants to know first."""
    commands, plans = snapshot.columns.commands, snapshot.columns.plans
    trigger = snapshot.triggers[0]
    moment = time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(trigger.time / 1e9))
    reason = '' if trigger.kind == 'asked' else f': {trigger.reason}'
    found = [f'At {moment} UTC {EVENTS.get(trigger.kind, trigger.kind)}{reason}.']
    if others := _others(snapshot):
        found.append(f'Also recorded: {"; ".join(others)}.')
    earlier = seconds(snapshot, commands.time) < 0
    if earlier.any():
        length = -seconds(snapshot, commands.time)[0]
        fresh = int((commands.level[earlier] == PLAN).sum())
        missed = int(commands.missed[earlier][-1] - commands.missed[0])
        found.append(
            f'In the {length:.1f} s before, {fresh:,} of {int(earlier.sum()):,} commands were '
            f'fresh plans, and {missed:,} control periods had none in time.'
        )
    if alternatives.rows:
        row = alternatives.rows[-1]
        value = {name: plans.metric(name)[row] for name in
                 ('predicted_return', 'worst_cost', 'safe_fraction', 'd0')}  # fmt: skip
        found.append(
            f'The last plan before it expected a return of {value["predicted_return"]:.4g} and, at '
            f'worst, a cost of {value["worst_cost"]:.3g} with d0 = {value["d0"]:g}; '
            f'{value["safe_fraction"]:.0%} of the sequences kept that.'
        )
    found.append(_remade(alternatives.ticks))
    return found


def _others(snapshot: Snapshot) -> list[str]:
    """What else happened in that minute, each kind once."""
    event, *others = snapshot.triggers
    found = []
    for kind in dict.fromkeys(trigger.kind for trigger in others):
        times = [(trigger.time - event.time) / 1e9 for trigger in others if trigger.kind == kind]
        nearest = min(times, key=abs)
        word = 'after' if nearest >= 0 else 'before'
        count = '' if len(times) == 1 else f'{len(times)} times, '
        what = EVENTS.get(kind, kind)
        found.append(f'{what} ({count}{abs(nearest):.1f} s {word} it at the nearest)')
    return found


def _remade(ticks: Sequence[Tick]) -> str:
    if not ticks:
        return 'Nothing was planned before it.'
    same = sum(tick.same for tick in ticks)
    made = f'For this page {len(ticks):,} plans were made again'
    if same == len(ticks):
        return f'{made}: all are the same, bit for bit.'
    first = next(tick for tick in ticks if not tick.same)
    return f'{made}, and {same:,} are the same; the first that is not: {first.describe()}.'


def level_name(span: Span) -> str:
    """Its level in words."""
    return NAMES[span.level]


def last_spans(found: Iterable[Span], count: int) -> list[Span]:
    """Those around the event: all from it on, and so many before it."""
    listed = list(found)
    later = [span for span in listed if span.end > 0]
    return [span for span in listed if span.end <= 0][-count:] + later[:count]
