# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of metrics for people (a table) or for programs (one line of JSON)."""

from __future__ import annotations

import json
import math
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
WIDTH = 160  # characters of a table that goes into a file


def show(title: str, rows: list[Row], as_json: bool = False) -> None:
    """Print the rows; JSON has null where a metric is not a number.

    In a table, what is the same in all rows stands below it.
    """
    if as_json:
        print(json.dumps(plain(rows)))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    names = list(dict.fromkeys(name for row in rows for name in row))
    common = {name for name in names if len({str(row.get(name)) for row in rows}) == 1}
    common = common if len(rows) > 1 else set()
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify='left')
    for name in names:
        if name not in common:
            _add_column(table, name, [row.get(name) for row in rows])
    for row in rows:
        table.add_row(*(_text(row.get(name)) for name in names if name not in common))
    console.print(table)
    if common:
        same = (f'{_title(name)} {_text(rows[0][name])}' for name in names if name in common)
        console.print(', '.join(same), highlight=False)


def plain(rows: list[Row]) -> list[Row]:
    """As JSON has them: to four digits, None where a metric is not a number."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def exit_code(rows: list[Row]) -> int:
    """1 where a row's ratio is below the one it must reach, else 0."""
    return int(any(row['ratio'] < row['required_ratio'] for row in rows if 'required_ratio' in row))


def _add_column(table: Table, name: str, values: list[Any]) -> None:
    """Where room is short texts and headings take more lines; numbers stay whole."""
    title = _title(name)
    if all(isinstance(value or 0, int | float) for value in values):
        least = max(len(part) for part in (*title.split(), *map(_text, values)))
        table.add_column(title, justify='right', min_width=least)
    else:
        table.add_column(title, overflow='fold', min_width=min(8, len(title)))


def _plain(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return float(f'{value:.4g}') if math.isfinite(value) else None


def _text(value: Any) -> str:
    if value is None or isinstance(value, float) and math.isnan(value):
        return ''
    if isinstance(value, float):
        return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.3g}'
    return str(value)


def _title(name: str) -> str:
    """A heading that may break into lines."""
    return name.replace('_', ' ')
