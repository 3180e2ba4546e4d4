# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of figures on standard output, none of which is cut off where the screen is narrow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

WIDE = Console(width=10_000)  # to measure by


def show(title: str, columns: Mapping[str, Sequence[str]], keys: int = 1) -> None:
    """Print columns of text by heading; what does not fit beside the others goes below them.

    The first `keys` columns say what a row is about, and begin each part. The first is aligned to
    the left.
    """
    console, names = Console(), list(columns)
    first, rest = names[:keys], names[keys:]
    while rest:
        count = len(rest)
        while count > 1 and _width(columns, [*first, *rest[:count]]) > console.width:
            count -= 1
        console.print(_table(title, columns, [*first, *rest[:count]]))
        title, rest = '', rest[count:]


def figure(value: object) -> str:
    """A value as a cell: two decimals, and '-' for what there is none of."""
    if isinstance(value, float):
        return '-' if math.isnan(value) else f'{value:.2f}'
    return str(value)


def _width(columns: Mapping[str, Sequence[str]], names: list[str]) -> int:
    return WIDE.measure(_table('', columns, names)).maximum


def _table(title: str, columns: Mapping[str, Sequence[str]], names: list[str]) -> Table:
    table = Table(title=title or None, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        is_first = name == next(iter(columns))
        table.add_column(name, justify='left' if is_first else 'right', no_wrap=True)
    for row in zip(*(columns[name] for name in names), strict=True):
        table.add_row(*row)
    return table
