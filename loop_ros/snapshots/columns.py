# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording as columns of numbers, one group for states, commands, executed actions and plans.

Further letters for shapes: T rows, M metrics of a plan, R bytes of a generator's state, J = H + 1.
Rows that are shorter than others are filled up, with NaN or zeros.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loop_ros.types import Array, Flags, Integers, PlanMetrics, PlannerMemory

METRICS = PlanMetrics.names()


class States(NamedTuple):
    """States that came; or actions that were executed, as observations."""

    time: Integers  # [T], ns, wall clock, of receipt
    stamp: Integers  # [T], ns
    number: Integers  # [T], of the control period
    restart: Flags  # [T]
    observation: Array  # [T, O]


class Commands(NamedTuple):
    """Commands that went out."""

    time: Integers  # [T], ns, wall clock
    stamp: Integers  # [T], ns, of the state that it answers
    answers: Flags  # [T], whether a state asked for it
    level: Integers  # [T]
    reason: Integers  # [T], which of the reasons
    missed: Integers  # [T], periods missed so far
    action: Array  # [T, A]
    metrics: Array  # [T, M], of the plan behind it; NaN where there is none


class Plans(NamedTuple):
    """Plans and what they depend on."""

    time: Integers  # [T], ns, wall clock
    stamp: Integers  # [T], ns, of the state
    observation: Array  # [T, O]
    settings: Integers  # [T], which of the planner's settings
    weights: Integers  # [T], which of the files
    device: Integers  # [T], which of the devices
    random_numbers: NDArray[np.uint8]  # [T, R], the generator's state before the plan
    random_size: Integers  # [T], bytes of it
    start: NDArray[np.float32]  # [T, H, A], where the search began
    start_size: Integers  # [T], steps of it
    action: Array  # [T, A]
    sequence: Array  # [T, H, A]
    states: Array  # [T, J, S]
    actor_action: Array  # [T, A]
    runner_up: Array  # [T, A]
    next_state: Array  # [T, S]
    next_std: Array  # [T, S]
    metrics: Array  # [T, M]

    def memory(self, row: int) -> PlannerMemory:
        """What the planner remembered before a plan."""
        random = self.random_numbers[row, : int(self.random_size[row])]
        start = self.start[row, : int(self.start_size[row])]
        return PlannerMemory(torch.from_numpy(random.copy()), torch.from_numpy(start.copy()))

    def metric(self, name: str) -> Array:
        """One metric of every plan, [T]."""
        return np.asarray(self.metrics[:, METRICS.index(name)])


class Columns(NamedTuple):
    """All of it."""

    states: States
    executed: States
    commands: Commands
    plans: Plans


# Data type and further dimensions of each column; a letter is the same length everywhere.
_STATE = {
    'time': ('int64', ''), 'stamp': ('int64', ''), 'number': ('int64', ''),
    'restart': ('bool', ''), 'observation': ('float64', 'O'),
}  # fmt: skip
SPEC: dict[str, tuple[type, dict[str, tuple[str, str]]]] = {
    'states': (States, _STATE),
    'executed': (States, {**_STATE, 'observation': ('float64', 'A')}),
    'commands': (Commands, {
        'time': ('int64', ''), 'stamp': ('int64', ''), 'answers': ('bool', ''),
        'level': ('int64', ''), 'reason': ('int64', ''), 'missed': ('int64', ''),
        'action': ('float64', 'A'), 'metrics': ('float64', 'M'),
    }),
    'plans': (Plans, {
        'time': ('int64', ''), 'stamp': ('int64', ''), 'observation': ('float64', 'O'),
        'settings': ('int64', ''), 'weights': ('int64', ''), 'device': ('int64', ''),
        'random_numbers': ('uint8', 'R'), 'random_size': ('int64', ''),
        'start': ('float32', 'HA'), 'start_size': ('int64', ''),
        'action': ('float64', 'A'), 'sequence': ('float64', 'HA'), 'states': ('float64', 'JS'),
        'actor_action': ('float64', 'A'), 'runner_up': ('float64', 'A'),
        'next_state': ('float64', 'S'), 'next_std': ('float64', 'S'), 'metrics': ('float64', 'M'),
    }),
}  # fmt: skip


def read(tensors: dict[str, Tensor], sizes: dict[str, int], texts: dict[str, int]) -> Columns:
    """The columns of tensors; ValueError where they are not what they are named.

    `sizes` are those of O, S and A, `texts` how many reasons, settings, weights and devices there
    are.
    """
    lengths = {**sizes, 'M': len(METRICS)}
    groups = {}
    for group, (kind, fields) in SPEC.items():
        rows = len(tensors.get(f'{group}.time', ()))
        columns = {}
        for name, (dtype, shape) in fields.items():
            value = tensors.get(f'{group}.{name}')
            if value is None:
                raise ValueError(f"'{group}.{name}' is missing")
            found = value.numpy()
            wanted = (rows, *(lengths.get(letter) for letter in shape))
            fits = len(found.shape) == len(wanted) and all(
                want in (None, have) for want, have in zip(wanted, found.shape, strict=True)
            )
            if not fits or str(found.dtype) != dtype:
                raise ValueError(
                    f"'{group}.{name}' is {found.shape} of {found.dtype}, expected "
                    f'{dtype} of {rows} rows, each {shape or "a number"}'
                )
            lengths.update(zip(shape, found.shape[1:], strict=True))
            columns[name] = found
        groups[group] = kind(**columns)
    columns_read = Columns(**groups)
    _check_places(columns_read, texts)
    return columns_read


def _check_places(found: Columns, texts: dict[str, int]) -> None:
    """ValueError where a column refers to what is not there."""
    plans = found.plans
    places: tuple[tuple[str, NDArray[Any], int], ...] = (
        ('commands.level', found.commands.level, 5),
        ('commands.reason', found.commands.reason, texts['reasons']),
        ('plans.settings', plans.settings, texts['settings']),
        ('plans.weights', plans.weights, texts['weights']),
        ('plans.device', plans.device, texts['devices']),
        ('plans.random_size', plans.random_size, plans.random_numbers.shape[1] + 1),
        ('plans.start_size', plans.start_size, plans.start.shape[1] + 1),
    )
    for name, column, count in places:
        if ((column < 0) | (column >= count)).any():
            raise ValueError(f"'{name}' has a number that is not from 0 to {count - 1}")
