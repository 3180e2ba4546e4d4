# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros predict: how far a checkpoint's models are from what bags say happened."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from loop_ros.cli import run_log
from loop_ros.cli.recordings import reader
from loop_ros.cli.replay import load
from loop_ros.offline import prediction
from loop_ros.sim.task import Task

LAST = 'unchanged'


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    torch.set_num_threads(options.num_threads)
    agent = load(options)
    found = reader(options.bags, agent.task, options.robot)
    recorded = prediction.Recorded.of(found.batches(), agent.task)
    Console(stderr=True).print(found.summary.describe(), highlight=False, markup=False)
    predictors = {'ensemble': prediction.ensemble(agent), LAST: prediction.unchanged}
    steps = steps_of(options.seconds, agent.task)
    rows = prediction.errors(recorded, predictors, steps)
    result = {
        'task': agent.task.name,
        'checkpoint': options.checkpoint,
        'bags': list(map(str, options.bags)),
        'transitions': len(recorded.data),
        'starts': len(recorded.starts(steps)),
        'steps': steps,
        'errors': rows,
    }
    if options.out is not None:
        run_log.write_json(options.out, result)
    if options.json:
        run_log.print_json(result)
    else:
        show(rows, list(predictors), steps, agent.task)
    return 0


def steps_of(seconds: float, task: Task) -> int:
    """Control periods of a task, at least one."""
    return max(1, round(seconds / task.control_period))


def show(rows: Sequence[dict[str, Any]], predictors: Sequence[str], steps: int, task: Task) -> None:
    """Print the errors as a table in Markdown."""
    table = Table(box=MARKDOWN)
    table.add_column('root mean squared error', no_wrap=True)
    columns = [f'{name}, {step}' for step in dict.fromkeys((1, steps)) for name in predictors]
    for step in dict.fromkeys((1, steps)):
        for name in predictors:
            title = f'{name}, {step * task.control_period:g} s'
            table.add_column(title, justify='right', no_wrap=True)
    for row in rows:
        table.add_row(row['name'], *(f'{row[column]:.3g}' for column in columns))
    Console(width=200).print(table, highlight=False)
