# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder that an experiment or a training from bags leaves, read back."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.types import Array

Row = dict[str, float]

OFFLINE, EXPECTED = 'offline.json', 'off_policy.json'  # what train-offline leaves
MARKS = ('result.json', 'progress.csv', OFFLINE, EXPECTED)


@dataclass(frozen=True)
class Run:
    """One seed of one algorithm on one task."""

    folder: Path
    result: dict[str, Any]  # result.json
    rows: list[Row]  # progress.csv, a row for each training episode
    evaluations: list[Row] = field(default_factory=list)  # evaluation.csv, where there is one

    def column(self, name: str) -> Array | None:
        """A metric of each training episode [E]; None where it was not written or is always 0."""
        values = np.array([row.get(name, math.nan) for row in self.rows])
        return values if np.any(np.nan_to_num(values) != 0.0) else None


@dataclass(frozen=True)
class OfflineRun(Run):
    """One training from bags; its `rows` are of gradient steps."""

    expected: dict[str, Any] | None = None  # off_policy.json, where it was evaluated off policy
    evaluated: dict[str, Any] | None = None  # result.json of `evaluate`, where someone put it


def read(folder: Path) -> Run:
    """The run in a folder; ValueError where an experiment did not finish there."""
    try:
        result = _mapping(folder / 'result.json')
        _check(result)
        rows = _table(folder / 'progress.csv', needed=('step', 'return', 'cost'))
        evaluation = folder / 'evaluation.csv'
        evaluations = _table(evaluation, ('step', 'mean_return')) if evaluation.exists() else []
    except (OSError, ValueError) as error:
        raise ValueError(f'{folder}: not the folder of a finished experiment: {error}') from None
    return Run(folder, result, rows, evaluations)


def is_offline(folder: Path) -> bool:
    """Whether it is of a training from bags."""
    return any((folder / name).is_file() for name in (OFFLINE, EXPECTED))


def read_offline(folder: Path) -> OfflineRun:
    """The training from bags in a folder; ValueError where something in it is broken."""
    try:
        result = _mapping(folder / OFFLINE, ('task', 'algorithm', 'data'))
        progress = folder / 'progress.csv'
        rows = _table(progress, needed=('step',)) if progress.exists() else []
        expected = evaluated = None
        if (folder / EXPECTED).exists():
            needed = ('model_error', 'actor', 'plans', 'candidates', 'recommended')
            expected = _mapping(folder / EXPECTED, needed)
        if (folder / 'result.json').exists():
            evaluated = _mapping(folder / 'result.json', ('mean_return',))
    except (OSError, ValueError) as error:
        raise ValueError(f'{folder}: not the folder of a finished train-offline: {error}') from None
    return OfflineRun(folder, result, rows, expected=expected, evaluated=evaluated)


def find(folders: Iterable[Path]) -> list[Path]:
    """Folders of runs at any depth, finished or not, each once; ValueError: no such one."""
    found: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f'{folder}: no such folder')
        marks = [mark for name in MARKS for mark in folder.rglob(name)]
        for path in sorted({mark.parent for mark in marks}):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _check(result: dict[str, Any]) -> None:
    """Raise ValueError unless it has what every reader of results counts on."""
    for name in ('task', 'algorithm'):
        if not isinstance(result.get(name), str):
            raise ValueError(f"result.json: '{name}' is not a name")
    if not isinstance(result.get('mean_return'), int | float):
        raise ValueError("result.json: 'mean_return' is not a number")


def _mapping(path: Path, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """A JSON object; ValueError names the file and what is wrong with it."""
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path.name}: {error}') from None
    if not isinstance(found, dict):
        raise ValueError(f'{path.name} holds no mapping')
    missing = [name for name in needed if name not in found]
    if missing:
        raise ValueError(f'{path.name}: no {", ".join(missing)}')
    return found


def _table(path: Path, needed: tuple[str, ...]) -> list[Row]:
    """Rows of a CSV file as numbers; ValueError names the file and what is wrong with it."""
    with path.open(encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file)
        missing = set(needed) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f'{path.name}: no column {", ".join(sorted(missing))}')
        try:
            rows = [{name: float(value) for name, value in row.items()} for row in reader]
        except (TypeError, ValueError):
            raise ValueError(f'{path.name}: line {reader.line_num} is not all numbers') from None
    if not rows:
        raise ValueError(f'{path.name}: no rows')
    return rows
