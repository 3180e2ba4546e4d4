# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published metrics of published.yaml, one value at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

QUANTITIES = ('return', 'cost', 'plan time')
_FILE = Path(__file__).with_name('published.yaml')


@dataclass(frozen=True)
class Published:
    """A value that others reached."""

    name: str  # of the table or figure it is from
    task: str
    algorithm: str
    step: int | None  # of the agent; None: of a finished policy
    quantity: str  # one of QUANTITIES; plan time in ms
    value: float | str  # words where the source gives a range
    source: str
    remark: str
    comparable: bool  # measured as we measure


def load(path: Path = _FILE) -> list[Published]:
    """All of them; ValueError where an entry does not fit its steps."""
    found: list[Published] = []
    for entry in yaml.safe_load(path.read_text(encoding='utf-8')):
        for quantity in QUANTITIES:
            for task, algorithms in entry.get(quantity, {}).items():
                for algorithm, values in algorithms.items():
                    found += _expand(entry, quantity, task, algorithm, values)
    return found


def _expand(
    entry: dict[str, Any], quantity: str, task: str, algorithm: str, values: list[float | str]
) -> list[Published]:
    steps = entry.get('steps', [None])
    if len(steps) != len(values):
        where = f'{entry["name"]}: {quantity} of {algorithm} on {task}'
        raise ValueError(f'{where} has {len(values)} values for {len(steps)} steps')
    return [
        Published(
            entry['name'],
            task,
            algorithm,
            step,
            quantity,
            value,
            entry['source'],
            entry.get('remark', ''),
            entry.get('comparable', True),
        )
        for step, value in zip(steps, values, strict=True)
    ]
