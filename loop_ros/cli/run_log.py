# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a run writes as it proceeds: CSV tables, JSON, TensorBoard, and which code it was."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import loop_ros
from loop_ros import checkpoint

Row = dict[str, float]


class Table:
    """A CSV file that grows by rows of the same names; `rows` are those to begin with."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        self.path, self.rows = path, list[Row]()
        path.unlink(missing_ok=True)
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Write a row; a crash later does not lose it."""
        with self.path.open('a', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, list(row))
            if not self.rows:
                writer.writeheader()
            writer.writerow({name: f'{value:.6g}' for name, value in row.items()})
        self.rows.append(row)


def to_json(content: Any) -> Any:
    """What JSON can hold of numbers in dicts and lists: None in place of one that is not finite."""
    if isinstance(content, dict):
        return {name: to_json(value) for name, value in content.items()}
    if isinstance(content, list):
        return [to_json(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def print_json(content: Any) -> None:
    """Print it on a line, for `--json`."""
    print(json.dumps(to_json(content)))


def write_json(path: Path, content: Any) -> None:
    """Write a file at once, in place of what was there; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(content), indent=2) + '\n'
    checkpoint.replace_file(path, text.encode())


def tensorboard(folder: Path) -> Callable[[str, Row], None]:
    """A function that writes a row, named by its group, at the row's step; nothing without it."""
    try:
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return lambda group, row: None
    writer = SummaryWriter(str(folder), flush_secs=10)

    def write(group: str, row: Row) -> None:
        for name, value in row.items():
            if name not in ('step', 'episode') and math.isfinite(value):  # NaN: nothing to say
                writer.add_scalar(f'{group}/{name}', value, int(row['step']))

    return write


def rows_until(path: Path, step: int) -> list[Row]:
    """The rows of a table of an earlier run up to a step; none where there is no table."""
    if not path.is_file():
        return []
    with path.open(encoding='utf-8', newline='') as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [row for row in rows if row['step'] <= step]


def provenance(device: str, wall_s: float) -> dict[str, Any]:
    """How long a run took, in s, and what code and machine it ran on; for its result.json."""
    return {
        'wall_s': round(wall_s, 1),
        'version': loop_ros.__version__,
        'commit': commit(),
        'machine': f'{platform.machine()}, {os.cpu_count()} cores, {device}',
    }


def commit() -> str:
    """The commit of this code, marked where files differ from it; empty outside of a checkout."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        options: dict[str, Any] = {'capture_output': True, 'text': True, 'timeout': 10}
        return subprocess.run(['git', '-C', str(folder), *arguments], check=True, **options).stdout

    try:
        found = git('rev-parse', '--short=12', 'HEAD').strip()
        changed = git('status', '--porcelain', '--untracked-files=no', '--', str(folder))
    except (OSError, subprocess.SubprocessError):
        return ''
    return f'{found} with changes' if changed.strip() else found
