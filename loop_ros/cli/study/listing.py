# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a study is and how much of it is done; the studies that come with the package."""

from __future__ import annotations

from pathlib import Path

from loop_ros.cli import tables
from loop_ros.cli.study import definition
from loop_ros.cli.study.cells import Cell
from loop_ros.cli.study.definition import Study


def shipped() -> None:
    """Print the studies that come with the package."""
    for name in definition.shipped():
        study = definition.load(definition.find(name))
        figure, title, hours = (
            study.about.get(key, '-') for key in ('figure', 'title', 'core_hours')
        )
        runs = len(study.variants) * len(study.seeds)
        print(f'{name:<6} {figure:<8} {runs:>4} runs {hours:>4} core-hours  {title}')


def show(study: Study, cells: list[Cell], out: Path) -> None:
    """Print a study, and the state of each of its runs in a folder."""
    for name, text in study.about.items():
        print(f'{name.replace("_", " ")}: {text}')
    states = {(cell.variant.path, cell.seed): _state(cell) for cell in cells}
    columns = {
        'task': [variant.task for variant in study.variants],
        'algorithm': [variant.algorithm for variant in study.variants],
        'settings': [variant.name for variant in study.variants],
        'steps': [str(variant.options.given['steps']) for variant in study.variants],
    }
    if not any(columns['settings']):
        del columns['settings']
    keys = len(columns)
    for seed in study.seeds:
        columns[f'#{seed}'] = [states[variant.path, seed] for variant in study.variants]
    tables.show(f'{out}, by seed', columns, keys)
    done = sum(state == 'done' for state in states.values())
    print(f'{done} of {len(cells)} runs done')


def _state(cell: Cell) -> str:
    try:
        if cell.finished():
            return 'done'
    except ValueError:
        return 'another run'
    steps = cell.job.steps_done()
    return f'{steps / cell.job.steps:.0%}' if steps else '-'
