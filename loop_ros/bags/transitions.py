# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded transitions as numbers: labels, lengths and values are checked here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loop_ros.bags import summary as reasons
from loop_ros.bags.cdr import ARRAY, Buffer, Decoder, Template
from loop_ros.bags.summary import Summary
from loop_ros.layout import LARGEST, TransitionLayout, check_layout, transition_layout
from loop_ros.sim.task import Task
from loop_ros.types import Array

ROUNDING = 1e-6  # of the range of an action, by which it may be beyond its limits unnoticed


class TransitionDecoder:
    """Messages of a transition topic; remembers the first whose labels are not the task's."""

    def __init__(self, task: Task, summary: Summary) -> None:
        self.mistake = ''  # what is wrong with the labels of some message
        self._task, self._layout, self._summary = task, transition_layout(task), summary
        self._decoder = Decoder(ARRAY)
        self._verdicts: dict[tuple[tuple[str, ...], tuple[int, ...], int], str] = {}

    def decode(self, messages: Sequence[Buffer]) -> Array:
        """The usable ones [n, D] in their order; the others are counted."""
        parts, places = [], []
        before = self._decoder.broken
        for group in self._decoder.decode(messages):
            if mistake := self._verdict(group.template):
                self.mistake = self.mistake or mistake
                self._summary.drop(reasons.OTHER_LABELS, len(group.index), mistake)
            else:
                parts.append(group.numbers('data'))
                places.append(group.index)
        self._summary.drop(reasons.BROKEN, self._decoder.broken - before)
        if not parts:
            return np.empty((0, self._layout.dim))
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if len(parts) > 1:
            values = values[np.argsort(np.concatenate(places), kind='stable')]
        values = usable(values, self._layout, self._summary).copy()
        named = self._layout.named(values)
        named['action'] = clipped(named['action'], self._task, self._summary)
        return values

    def _verdict(self, template: Template) -> str:
        """What is wrong with the labels of such messages; empty where nothing is."""
        key = template.names, template.sizes, template.blocks['data'][1]
        if key not in self._verdicts:
            try:
                found = list(zip(template.names, template.sizes, strict=True))
                check_layout(found, self._layout.fields, key[2])
            except ValueError as error:
                self._verdicts[key] = str(error)
            else:
                self._verdicts[key] = ''
        return self._verdicts[key]


def clipped(actions: Array, task: Task, summary: Summary) -> Array:
    """Actions [..., A] inside the task's limits, as actuators take them; counts the others.

    What is not finite stays as it is.
    """
    low, high = np.array(task.action_low), np.array(task.action_high)
    inside: Array = np.where(np.isfinite(actions), np.clip(actions, low, high), actions)
    beyond = (actions < low - ROUNDING * (high - low)) | (actions > high + ROUNDING * (high - low))
    summary.clipped += int(np.count_nonzero(beyond.any(axis=-1)))
    return inside


def usable(values: Array, layout: TransitionLayout, summary: Summary) -> Array:
    """Rows whose numbers are finite and can be what they name; the others are counted."""
    finite = (np.abs(values) <= LARGEST).all(axis=1)  # NaN is not
    sound = ~np.logical_or.reduce(list(layout.unsound(values).values()))
    summary.drop(reasons.NOT_FINITE, int((~finite).sum()))
    summary.drop(reasons.BROKEN, int((finite & ~sound).sum()))
    good = finite & sound
    return values if good.all() else values[good]
