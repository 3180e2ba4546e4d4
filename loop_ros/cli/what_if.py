# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros what-if: what would be planned at recorded states under other thresholds."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from rich.console import Console

from loop_ros.agent import Agent
from loop_ros.cli import tables
from loop_ros.cli.recordings import reader
from loop_ros.cli.replay import load
from loop_ros.cli.replay_episodes import Recording, recordings
from loop_ros.cli.run_log import print_json
from loop_ros.outlook import Outlook, outlook
from loop_ros.progress import bars
from loop_ros.types import Array

Row = dict[str, Any]


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    torch.set_num_threads(options.num_threads)
    agent = load(options)
    planner, thresholds = agent.settings.planner, sorted(set(options.thresholds))
    bags = reader(options.bags, agent.task, options.robot)
    seen: list[Outlook] = []
    with bars() as progress:
        bar = progress.add_task('what if', total=None, metrics='')
        for found in outlooks(
            agent, recordings(iter(bags), options.episodes, options.steps), thresholds
        ):
            seen.append(found)
            progress.advance(bar)
        progress.update(bar, total=max(1, len(seen)))
    if not seen:
        raise ValueError(
            f"nothing was planned: no transition of task '{agent.task.name}' in these bags, or the "
            f'algorithm {planner.algorithm} compares nothing (ros2 bag info says what a bag holds)'
        )
    rows = summary(seen, thresholds, agent)
    if not planner.constrained:
        ignored = f'the algorithm {planner.algorithm} ignores d0: another one changes nothing'
        Console(stderr=True).print(ignored, highlight=False)
    if options.json:
        print_json({'plans': len(seen), 'd0': planner.d0, 'thresholds': rows})
    else:
        columns = {name: [tables.figure(row[name]) for row in rows] for name in rows[0]}
        columns['d0'] = [f'{d0:g}' for d0 in thresholds]
        tables.show(f'{len(seen):,} plans under d0 = {planner.d0:g}, judged under others', columns)
    return 0


def outlooks(
    agent: Agent, recorded: Iterable[Recording], thresholds: list[float]
) -> Iterable[Outlook]:
    """One for each recorded state; each plan starts from the one before, as when driving."""
    for recording in recorded:
        agent.reset()
        for transition in recording.transitions:
            agent.act(transition.observation)
            found = outlook(agent, thresholds)
            if found is not None:
                yield found


def summary(seen: list[Outlook], thresholds: list[float], agent: Agent) -> list[Row]:
    """A row for each threshold, over all plans; a plan that diverged counts as broken."""
    returns, costs = (_table(seen, name) for name in ('returns', 'costs'))
    safe = np.array([each.safe_fractions for each in seen])
    actions = np.array([agent.task.normalize_action(each.alternatives.actions) for each in seen])
    planned = np.array([agent.task.normalize_action(each.plan.actions) for each in seen])
    away = np.linalg.norm(actions - planned, axis=2)
    return [
        {
            'd0': d0,
            'return': _mean(returns[:, column]),
            'worst cost': _mean(costs[:, column]),
            'most': float(costs[:, column].max()),
            'keeps d0': float((costs[:, column] <= d0).mean()),
            'safe sequences': float(safe[:, column].mean()),
            'action differs by': float(away[:, column].mean()),
        }
        for column, d0 in enumerate(thresholds)
    ]


def _table(seen: list[Outlook], name: str) -> Array:
    """One figure of the alternatives, [plans, D]."""
    return np.array([getattr(each.alternatives, name) for each in seen])


def _mean(values: Array) -> float:
    """Of the finite ones; NaN where there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float('nan')
