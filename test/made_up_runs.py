# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders as experiments leave them, with figures that a person can work out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from loop_ros.cli import runs
from loop_ros.settings import Settings

# Four episodes of three seeds. Sorted: 0 ... 10, 100; without three at each end 3 ... 8: 5.5.
RETURNS = ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 100])


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_run(
    folder: Path,
    task: str = 'HalfCheetah',
    algorithm: str = 'loop_sac',
    seed: int = 0,
    last_step: int = 40_000,
    settings: dict[str, Any] | None = None,
    columns: dict[str, float] | None = None,
    **result: Any,
) -> runs.Run:
    """Write an experiment of episodes of 1,000 steps, each with its last step + seed as return."""
    folder.mkdir(parents=True)
    rows = [
        {'step': step, 'steps': 1000, 'return': step + seed, 'cost': 2, **(columns or {})}
        for step in range(1000, last_step + 1, 1000)
    ]
    write_csv(folder / 'progress.csv', rows)
    returns = RETURNS[seed % 3]
    content = {
        'task': task,
        'algorithm': algorithm,
        'seed': seed,
        'mean_return': float(np.mean(returns)),
        'mean_cost': 0.25,
        'max_cost': 1.0,
        'returns': returns,
        'costs': [0, 0, 0, 1],
        'training_cost': 80.0,
        'command': f'loop-ros experiment {task} --steps {last_step} --seed {seed}',
        'commit': 'abc1234',
        'settings': Settings().replace(settings or {}).to_dict(),
        **result,
    }
    (folder / 'result.json').write_text(json.dumps(content))
    return runs.read(folder)
