# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording as columns of numbers, one group for states, commands, executed actions and plans.

Further letters for shapes: T rows, M metrics of a plan, R bytes of a generator's state, J = H + 1.
Rows that are shorter than others are filled up, with NaN or zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loop_ros.control.flight_recorder import Planned, Received, Recording, Sent
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


class Texts(NamedTuple):
    """What columns refer to by number."""

    reasons: list[str]
    settings: list[Any]  # PlannerSettings
    weights: list[bytes | None]
    devices: list[str]


Value = TypeVar('Value')


def index(values: Sequence[Value], key: Callable[[Value], Any]) -> tuple[list[Value], list[int]]:
    """The different ones in the order of their first appearance, and which one each is."""
    found: dict[Any, int] = {}
    first: list[Value] = []
    places = []
    for value in values:
        place = found.setdefault(key(value), len(found))
        if place == len(first):
            first.append(value)
        places.append(place)
    return first, places


def of(
    recording: Recording, sizes: dict[str, int], pause: Callable[[], None]
) -> tuple[dict[str, Tensor], Texts]:
    """A recording's tensors by name, and what they refer to.

    `sizes` are those of O, S and A; `pause` is called between columns.
    """
    plans, commands = recording.plans, recording.commands
    reasons, reason = index([sent.command.reason for sent in commands], str)
    settings, setting = index([p.settings for p in plans], lambda s: s)
    weights, weight = index([p.weights for p in plans], id)
    devices, device = index([p.device for p in plans], str)
    clock = recording.to_wall_clock
    parts: dict[str, dict[str, Any]] = {
        'states': _states(recording.states, clock),
        'executed': _states(recording.executed, clock),
        'commands': _commands(commands, reason, clock),
        'plans': {
            **_plans(plans, clock),
            **{'settings': setting, 'weights': weight, 'device': device},
        },
    }
    known = {**sizes, 'M': len(METRICS), 'H': 0, 'J': 0, 'R': 0}
    tensors = {}
    for group, (_, fields) in SPEC.items():
        for name, (dtype, shape) in fields.items():
            least = tuple(known[letter] for letter in shape)
            column = _stacked(parts[group][name], dtype, least)
            tensors[f'{group}.{name}'] = torch.from_numpy(column)
            pause()
    files = [file.data for file in weights]
    return tensors, Texts(reasons, settings, files, [str(d) for d in devices])


def _states(received: list[Received], clock: int) -> dict[str, Any]:
    return {
        'time': [r.time + clock for r in received],
        'stamp': [r.state.stamp for r in received],
        'number': [r.state.number for r in received],
        'restart': [r.state.restart for r in received],
        'observation': [r.state.observation for r in received],
    }


def _commands(sent: list[Sent], reason: list[int], clock: int) -> dict[str, Any]:
    nothing = np.full(len(METRICS), np.nan)
    plans = [each.command.plan for each in sent]
    return {
        'time': [each.time + clock for each in sent],
        'stamp': [each.state.stamp for each in sent],
        'answers': [each.state.observation is not None for each in sent],
        'level': [each.command.level for each in sent],
        'reason': reason,
        'missed': [each.missed for each in sent],
        'action': [each.command.action for each in sent],
        'metrics': [nothing if plan is None else _metrics(plan) for plan in plans],
    }


def _plans(planned: list[Planned], clock: int) -> dict[str, Any]:
    plans = [each.plan for each in planned]
    memories = [plan.memory for plan in plans if plan.memory is not None]
    return {
        'time': [each.time + clock for each in planned],
        'stamp': [each.state.stamp for each in planned],
        'observation': [each.state.observation for each in planned],
        'random_numbers': [memory.random_numbers.numpy() for memory in memories],
        'random_size': [len(memory.random_numbers) for memory in memories],
        'start': [memory.start.cpu().numpy() for memory in memories],
        'start_size': [len(memory.start) for memory in memories],
        'metrics': [_metrics(plan) for plan in plans],
        **{
            name: [getattr(plan, name) for plan in plans]
            for name in ('action', 'sequence', 'states', 'actor_action')
        },
        **{
            name: [np.empty(0) if (row := getattr(plan, name)) is None else row for plan in plans]
            for name in ('runner_up', 'next_state', 'next_std')
        },
    }


def _metrics(plan: PlanMetrics) -> Array:
    return np.array([getattr(plan, name) for name in METRICS], dtype=np.float64)


def _stacked(rows: list[Any], dtype: str, least: tuple[int, ...]) -> NDArray[Any]:
    """Rows as one array, of which shorter ones are filled up; at least of a size."""
    if not least or not rows:
        return np.array(rows, dtype=dtype).reshape(len(rows), *least)
    shapes = {np.shape(row) for row in rows} | {least}
    size = tuple(max(lengths) for lengths in zip(*shapes, strict=True))
    if all(np.shape(row) == size for row in rows):
        return np.array(rows, dtype=dtype)
    filler = np.nan if dtype == 'float64' else 0
    table = np.full((len(rows), *size), filler, dtype=dtype)
    for place, row in enumerate(rows):
        table[(place, *(slice(length) for length in np.shape(row)))] = row
    return table


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
