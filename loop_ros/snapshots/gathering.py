# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording to columns, in small pieces of work: the planner of the same process drives on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loop_ros.control.flight_recorder import Planned, Received, Recording, Sent
from loop_ros.settings import PlannerSettings
from loop_ros.snapshots.columns import METRICS, SPEC
from loop_ros.types import PlanMetrics, PlannerMemory

PIECE = 100  # rows between two pauses


class Texts(NamedTuple):
    """What columns refer to by number."""

    reasons: list[str]
    settings: list[PlannerSettings]
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


def columns_of(
    recording: Recording, sizes: dict[str, int], pause: Callable[[], None]
) -> tuple[dict[str, Tensor], Texts]:
    """A recording's tensors by name, and what they refer to.

    `sizes` are those of O, S and A; `pause` is called now and then.
    """
    plans, commands, clock = recording.plans, recording.commands, recording.to_wall_clock
    reasons, reason = index([sent.command.reason for sent in commands], str)
    settings, setting = index([p.settings for p in plans], lambda s: s)
    weights, weight = index([p.weights for p in plans], id)
    devices, device = index([p.device for p in plans], str)
    known: dict[str, list[int]] = {
        'commands.reason': reason,
        'plans.settings': setting,
        'plans.weights': weight,
        'plans.device': device,
    }
    # The search of a first plan has nothing to begin with, its sequence has all H steps.
    horizon = max((len(p.plan.sequence) for p in plans), default=0)
    lengths = {**sizes, 'M': len(METRICS), 'H': horizon, 'J': 0, 'R': 0}
    tensors = {}
    for group, (_, fields) in SPEC.items():
        items: list[Any] = getattr(recording, group)
        for name, (dtype, shape) in fields.items():
            least = tuple(lengths[letter] for letter in shape)
            if places := known.get(f'{group}.{name}'):
                column = np.array(places, dtype=dtype)
            else:
                column = _stacked(items, _VALUES[group][name], dtype, least, pause)
            if name == 'time':
                column += clock
            tensors[f'{group}.{name}'] = torch.from_numpy(column)
            pause()
    files = [file.data for file in weights]
    return tensors, Texts(reasons, settings, files, [str(d) for d in devices])


def _metrics(plan: PlanMetrics | None) -> list[float]:
    return [np.nan if plan is None else float(getattr(plan, name)) for name in METRICS]


def _of_plan(name: str) -> Callable[[Planned], Any]:
    """A column of a plan; empty where a plan has none."""
    return lambda p: () if (value := getattr(p.plan, name)) is None else value


def _memory(planned: Planned) -> PlannerMemory:
    assert planned.plan.memory is not None
    return planned.plan.memory


_OF_STATE: dict[str, Callable[[Received], Any]] = {
    'time': lambda r: r.time,
    'stamp': lambda r: r.state.stamp,
    'number': lambda r: r.state.number,
    'restart': lambda r: r.state.restart,
    'observation': lambda r: r.state.observation,
}
_OF_COMMAND: dict[str, Callable[[Sent], Any]] = {
    'time': lambda s: s.time,
    'stamp': lambda s: s.state.stamp,
    'answers': lambda s: s.state.observation is not None,
    'level': lambda s: s.command.level,
    'reason': lambda s: 0,
    'missed': lambda s: s.missed,
    'action': lambda s: s.command.action,
    'metrics': lambda s: _metrics(s.command.plan),
}
_OF_PLAN: dict[str, Callable[[Planned], Any]] = {
    'time': lambda p: p.time,
    'stamp': lambda p: p.state.stamp,
    'observation': lambda p: p.state.observation,
    **{name: lambda p: 0 for name in ('settings', 'weights', 'device')},
    'random_numbers': lambda p: _memory(p).random_numbers.numpy(),
    'random_size': lambda p: len(_memory(p).random_numbers),
    'start': lambda p: _memory(p).start.cpu().numpy(),
    'start_size': lambda p: len(_memory(p).start),
    **{
        name: _of_plan(name)
        for name in ('action', 'sequence', 'states', 'actor_action', 'runner_up', 'next_state',
                     'next_std')
    },
    'metrics': lambda p: _metrics(p.plan),
}  # fmt: skip
_VALUES: dict[str, dict[str, Callable[[Any], Any]]] = {
    'states': _OF_STATE,
    'executed': _OF_STATE,
    'commands': _OF_COMMAND,
    'plans': _OF_PLAN,
}


def _stacked(
    items: Sequence[Any],
    value: Callable[[Any], Any],
    dtype: str,
    least: tuple[int, ...],
    pause: Callable[[], None],
) -> NDArray[Any]:
    """A value of each item as one array, of which shorter ones are filled up; at least of a size.

    In pieces, between which others get their time.
    """
    pieces = []
    for begin in range(0, len(items), PIECE):
        pieces.append(_filled([value(item) for item in items[begin : begin + PIECE]], dtype, least))
        pause()
    size = tuple(
        max(lengths) for lengths in zip(least, *(p.shape[1:] for p in pieces), strict=True)
    )
    if any(piece.shape[1:] != size for piece in pieces):
        pieces = [_filled(list(piece), dtype, size) for piece in pieces]
    return np.concatenate([*pieces, np.zeros((0, *size), dtype=dtype)])


def _filled(rows: list[Any], dtype: str, least: tuple[int, ...]) -> NDArray[Any]:
    shapes = {np.shape(row) for row in rows}
    if shapes == {least}:
        return np.array(rows, dtype=dtype)
    # No value at all is an empty row, of however many dimensions.
    full = [shape if len(shape) == len(least) else (0,) * len(least) for shape in (*shapes, least)]
    size = tuple(max(lengths) for lengths in zip(*full, strict=True))
    table = np.full((len(rows), *size), np.nan if dtype == 'float64' else 0, dtype=dtype)
    for place, row in enumerate(rows):
        if np.size(row):
            table[(place, *(slice(length) for length in np.shape(row)))] = row
    return table
