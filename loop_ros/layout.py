# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands where in the labelled arrays of messages and bags."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loop_ros.sim.task import Task
from loop_ros.types import Array, Flags, PlanMetrics, Rows, Transition

Layout = tuple[tuple[str, int], ...]  # (label, length) per field, in order

# Stamp (s) of the state that a command answers, the metrics of the plan behind it, and its level:
# 0 plan, 1 shifted plan, 2 actor, 3 hold, 4 stop. NaN where there is no plan.
TELEMETRY_FIELDS = ('stamp', *PlanMetrics.names(), 'level')
LARGEST = 1e18  # of any number that arrives: networks square it, in float32
TELEMETRY_LAYOUT: Layout = tuple((name, 1) for name in TELEMETRY_FIELDS)
COUNTS, FLAGS = ('episode', 'step'), ('terminated', 'truncated')  # of a transition


class TransitionLayout:
    """Where a transition's fields stand in its D numbers, on the wire and in bags."""

    def __init__(self, task: Task) -> None:
        """Vectors carry their component names in their label: 'action:a,b'."""
        components = {
            'observation': task.observation_labels,
            'action': task.action_labels,
            'next_observation': task.observation_labels,
        }
        fields, dtype = [], []
        for name in Rows._fields:
            labels = components.get(name)
            fields.append((f'{name}:{",".join(labels)}', len(labels)) if labels else (name, 1))
            dtype.append((name, np.float64, (len(labels),) if labels else ()))
        self.fields: Layout = tuple(fields)
        self.dim = sum(length for _, length in fields)
        self._dtype = np.dtype(dtype)

    def named(self, table: Array) -> NDArray[np.void]:
        """A view of a table [B, D] by field: ['step'] is [B], ['action'] [B, A]; writes go through.

        ValueError where the table is of another width.
        """
        if table.shape[1] != self.dim:
            raise ValueError(f'{table.shape[1]} numbers a transition, expected {self.dim}')
        return table.view(self._dtype)[:, 0]

    def rows(self, table: Array) -> Rows:
        """The columns of a table [B, D] whose numbers were checked."""
        named = self.named(table)
        return Rows(*(np.ascontiguousarray(named[name], _kind(name)) for name in Rows._fields))

    def table(self, rows: Rows) -> Array:
        """The inverse of `rows`; ValueError where the lengths are not the task's."""
        columns = [np.asarray(part, dtype=np.float64).reshape(rows.size, -1) for part in rows]
        table = np.concatenate(columns, axis=1)
        self.named(table)
        return table

    def transition(self, values: Array) -> Transition:
        """The transition of numbers [D]; ValueError for one that cannot be what it names."""
        table = values[np.newaxis]
        for label, part in zip(self.fields, self.named(table)[0], strict=True):
            if (np.isfinite(part) & (np.abs(part) > LARGEST)).any():
                raise ValueError(f"field '{label[0]}' holds a number beyond {LARGEST:g}")
        for name, wrong in self.unsound(table).items():
            if wrong[0]:
                wanted = 'a whole number from 0' if name in COUNTS else '0 or 1'
                raise ValueError(
                    f"field '{name}' is {self.named(table)[name][0]}, expected {wanted}"
                )
        return next(self.rows(table).transitions())

    def unsound(self, table: Array) -> dict[str, Flags]:
        """In which rows [B] of a table [B, D] a count or a flag is none, by its field."""
        named = self.named(table)
        found = {name: (named[name] != 0) & (named[name] != 1) for name in FLAGS}
        for name in COUNTS:
            count = named[name]
            found[name] = ~((count >= 0) & (count < 2**53) & (count == np.floor(count)))
        return found


@functools.cache
def transition_layout(task: Task) -> TransitionLayout:
    """The one layout of a task's transitions."""
    return TransitionLayout(task)


def indices(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where each wanted name stands; ValueError unless the names are these in some order."""
    if sorted(names) != sorted(wanted):
        raise ValueError(f'names are {list(names)}, expected {list(wanted)} in any order')
    return [list(names).index(name) for name in wanted]


def check_layout(found: Sequence[tuple[str, int]], expected: Layout, count: int) -> None:
    """ValueError that names the first field which differs from the expected layout.

    So it is where `count`, how many numbers there are, is not what the fields add up to.
    """
    for index, (want, got) in enumerate(zip(expected, found, strict=False)):
        if want != got:
            raise ValueError(
                f"field {index} is '{got[0]}' of length {got[1]}, "
                f"expected '{want[0]}' of length {want[1]}"
            )
    if len(found) != len(expected):
        raise ValueError(f'{len(found)} labelled fields, expected {len(expected)}')
    if count != (wanted := sum(length for _, length in expected)):
        raise ValueError(f'{count} numbers, expected {wanted}')


def _kind(name: str) -> type:
    return np.int64 if name in COUNTS else np.bool_ if name in FLAGS else np.float64
