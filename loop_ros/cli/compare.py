# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several experiments side by side: the paper's Fig. 6."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loop_ros.cli import plots


def compare(folders: list[Path], out: Path) -> None:
    """Final figures by algorithm, mean over seeds: table, comparison.json and comparison.png."""
    results: dict[str, list[dict[str, Any]]] = {}
    curves: dict[str, list[list[dict[str, Any]]]] = {}
    for folder in folders:
        result, rows = _read(folder)
        results.setdefault(result['algorithm'], []).append(result)
        curves.setdefault(result['algorithm'], []).append(rows)
    out.mkdir(parents=True, exist_ok=True)
    summary = [_summary(name, runs) for name, runs in results.items()]
    (out / 'comparison.json').write_text(json.dumps(summary, indent=2) + '\n', encoding='utf-8')
    table = Table(title='final evaluation, mean over seeds', box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in summary[0]:
        table.add_column(name, justify='right')
    for row in summary:
        table.add_row(*(f'{v:.2f}' if isinstance(v, float) else str(v) for v in row.values()))
    Console().print(table)
    plots.comparison(curves, out / 'comparison.png')


def _summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(key: str) -> float:
        return float(np.mean([run[key] for run in runs]))

    return {
        'algorithm': name,
        'seeds': len(runs),
        'return': mean('mean_return'),
        'worst seed': float(min(run['mean_return'] for run in runs)),
        'cost': mean('mean_cost'),
        'training cost': mean('training_cost'),
        'speed': mean('mean_speed'),
        'slip': mean('mean_slip'),
    }


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Result and progress rows of an experiment; ValueError where it is not one."""
    try:
        result = json.loads((folder / 'result.json').read_text(encoding='utf-8'))
        with (folder / 'progress.csv').open(encoding='utf-8') as file:
            rows = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError) as error:
        raise ValueError(f'{folder}: not the folder of a finished experiment: {error}') from None
    return result, rows
