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


def write_offline(folder: Path, algorithm: str = 'crr', **result: Any) -> runs.OfflineRun:
    """Write a training from bags and its off-policy figures, which leave four candidates."""
    folder.mkdir(parents=True)
    write_csv(folder / 'progress.csv', [{'step': 500, 'critic_loss': 2.0}])
    content = {
        'task': 'drift_car',
        'algorithm': algorithm,
        'seed': 0,
        'updates': 1500,
        'command': f'loop-ros train-offline --algorithm {algorithm}',
        'data': {
            'transitions': 3000,
            'episodes': 30,
            'mean_return': -297.5,
            'max_return': -151.5,
            'total_cost': 2658.0,
        },
        'wall_s': 360.0,
        'settings': Settings().to_dict(),
        **result,
    }
    (folder / 'offline.json').write_text(json.dumps(content))
    returns = {(0.01, 2.0): 5.0, (0.01, 0.5): 7.0, (0.4, 2.0): 9.0, (0.4, 0.5): 6.0}
    spreads = {(0.01, 2.0): 1.0, (0.01, 0.5): 2.0, (0.4, 2.0): 8.0, (0.4, 0.5): 0.5}
    candidates = [
        {
            'horizon': 2, 'pessimism': 0.5, 'proposal_std': std, 'temperature': eta,
            'return': value, 'spread': spreads[std, eta], 'lower': value - spreads[std, eta],
            'mean_cost': 0.5, 'worst_cost': 1.5,
        }
        for (std, eta), value in returns.items()
    ]  # fmt: skip
    expected = {
        'held_out_return': -277.5,
        'model_error': [
            {'step': float(n), 'error': 0.1 * n, 'spread': 0.01 * n, 'reward_error': 0.0}
            for n in (1, 2, 3)
        ],
        'steps': 100.0,
        'actor': {
            'return': 4.0, 'spread': 0.25, 'lower': 3.75, 'mean_cost': 91.0, 'worst_cost': 94.0,
            'value': -3.0, 'value_spread': 1.0,
        },
        'candidates': candidates,
        'recommended': {
            'planner.proposal_std': 0.4, 'planner.temperature': 0.5, 'planner.horizon': 2,
            'planner.pessimism': 0.5,
        },
        'plans': {**candidates[-1], 'value': -2.0, 'value_spread': 1.5},
        'better_than_actor': True,
    }  # fmt: skip
    (folder / 'off_policy.json').write_text(json.dumps(expected))
    return runs.read_offline(folder)
