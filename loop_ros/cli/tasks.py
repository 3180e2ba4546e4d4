# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros tasks: what there is to drive, and where it comes from."""

from __future__ import annotations

import argparse
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loop_ros.cli.run_log import print_json
from loop_ros.sim import registry

COLUMNS = {  # headings of what --json names in full
    **{'name': 'name', 'origin': 'origin', 'observations': 'obs.', 'actions': 'act.'},
    **{'Hz': 'Hz', 'cost': 'cost', 'simulation': 'sim.', 'profile': 'profile'},
}


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    names = [source.name for source in registry.sources()]
    rows = [_row(source, names.count(source.name) > 1) for source in registry.sources()]
    if options.json:
        print_json(rows)
    else:
        _show(rows)
    return 0


def _row(source: registry.Source, twice: bool) -> dict[str, Any]:
    """One task, or with `error` why there is none."""
    row: dict[str, Any] = {'name': source.name, 'origin': source.origin}
    try:
        task = registry.task(source.name) if twice else source.load()  # the first says why not
    except ValueError as error:
        return {**row, 'error': str(error)}
    return {
        **row,
        'observations': len(task.observation_labels),
        'actions': len(task.action_labels),
        'Hz': round(1.0 / task.control_period, 3),
        'cost': 'learned' if task.cost is None else 'known',
        'simulation': task.environment is not None,
        'profile': task.profile,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, heading in COLUMNS.items():
        numbers = name in ('observations', 'actions', 'Hz')
        table.add_column(
            heading,
            justify='right' if numbers else 'left',
            overflow='fold',
            no_wrap=name == 'name',
        )
    for row in rows:
        cells = {**row, 'simulation': 'yes' if row.get('simulation') else 'no'}
        if 'error' in row:
            cells = {'name': row['name'], 'origin': row['origin']}
        table.add_row(*(escape(_text(cells.get(name, '-'))) for name in COLUMNS))
    Console().print(table)
    for row in rows:
        if 'error' in row:
            Console(stderr=True).print(f'{row["name"]}: {row["error"]}', markup=False)


def _text(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
