# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What recorded labels cannot teach: those that never change, and those that repeat another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loop_ros.sim.task import Task
from loop_ros.types import Array, Rows

ENOUGH = 100  # transitions, below which a robot may just have stood still
LISTED = 8  # labels in one sentence


class LabelCheck:
    """Watches the numbers of all transitions of a reading; `describe` says what is wrong."""

    def __init__(self, task: Task) -> None:
        self._labels = [f"'{label}'" for label in task.observation_labels]
        self._names = [*self._labels, *(f"the command '{a}'" for a in task.action_labels)]
        self._count = 0
        self._first: Array | None = None  # [O+A]
        self._constant = np.ones(len(self._names), dtype=np.bool_)
        self._group = [0] * len(self._names)  # columns that were equal so far share a number

    def add(self, rows: Rows) -> None:
        """Take more transitions in."""
        values = np.concatenate((rows.observation, rows.action), axis=1) + 0.0  # no -0.0
        if not len(values):
            return
        self._count += len(values)
        self._first = values[0] if self._first is None else self._first
        self._constant &= (values == self._first).all(axis=0)
        numbers: dict[tuple[int, bytes], int] = {}
        columns = values.astype(np.float32).T  # equal but for rounding is equal
        self._group = [
            numbers.setdefault((group, column.tobytes()), len(numbers))
            for group, column in zip(self._group, columns, strict=True)
        ]

    def describe(self) -> list[str]:
        """Sentences on labels that are constant or repeat another one; none for few data."""
        if self._count < ENOUGH:
            return []
        found = []
        count, split = f'in all {self._count:,} transitions', len(self._labels)
        still = [name for name, same in zip(self._names, self._constant, strict=True) if same]
        observed = int(self._constant[:split].sum())
        if still[:observed]:
            found.append(f'constant {count}, so not measured: {_list(still[:observed])}')
        if still[observed:]:
            what = 'so its effect cannot be learned'
            found.append(f'constant {count}, {what}: {_list(still[observed:])}')
        for names in self._repeated():
            found.append(f'equal {count}, so one measurement at most: {_list(names)}')
        return found

    def _repeated(self) -> list[list[str]]:
        """Names of columns that change, and are equal."""
        groups: dict[int, list[str]] = {}
        for name, group, same in zip(self._names, self._group, self._constant, strict=True):
            if not same:
                groups.setdefault(group, []).append(name)
        return [names for names in groups.values() if len(names) > 1]


def _list(names: Sequence[str]) -> str:
    rest = len(names) - LISTED
    return ', '.join(names[:LISTED]) + (f' and {rest} more' if rest > 0 else '')
