# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several experiments side by side: the paper's Fig. 6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from loop_ros.cli import plots, run_log, tables
from loop_ros.cli.runs import Run, read


def compare(folders: list[Path], out: Path) -> None:
    """Final metrics by algorithm, mean over seeds: table, comparison.json and comparison.png."""
    runs: dict[str, list[Run]] = {}
    for folder in folders:
        run = read(folder)
        runs.setdefault(run.result['algorithm'], []).append(run)
    out.mkdir(parents=True, exist_ok=True)
    summary = [_summary(name, seeds) for name, seeds in runs.items()]
    run_log.write_json(out / 'comparison.json', summary)
    columns = {name: [tables.figure(row.get(name, '-')) for row in summary] for name in summary[0]}
    tables.show('final evaluation, mean over seeds', columns)
    curves = {name: [run.rows for run in seeds] for name, seeds in runs.items()}
    plots.comparison(curves, out / 'comparison.png')


def _summary(name: str, runs: list[Run]) -> dict[str, Any]:
    """Means over seeds of the final metrics and of the task's own."""

    def mean(key: str) -> float:
        return float(np.mean([run.result[key] for run in runs]))

    shown = ('mean_return', 'mean_cost')
    metrics = [n for n in runs[0].result if n.startswith('mean_') and n not in shown]
    return {
        'algorithm': name,
        'seeds': len(runs),
        'return': mean('mean_return'),
        'worst seed': float(min(run.result['mean_return'] for run in runs)),
        'cost': mean('mean_cost'),
        'training cost': mean('training_cost'),
        **{metric.removeprefix('mean_'): mean(metric) for metric in metrics},
    }
