# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros rerun: the plans of a snapshot made again, and where they are not the same."""

from __future__ import annotations

import argparse
import collections
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loop_ros.cli.run_log import print_json
from loop_ros.progress import track
from loop_ros.snapshots import files
from loop_ros.snapshots.files import Snapshot
from loop_ros.snapshots.rerun import Replanner, Tick


def run(options: argparse.Namespace) -> int:
    """Run the command; 0 where every plan is the same."""
    snapshot = files.read(options.snapshot, options.task)
    count = len(snapshot.columns.plans.time)
    if not count:
        raise ValueError(f'{options.snapshot}: nothing was planned in it')
    replanner = Replanner(snapshot)
    ticks = list(track(replanner.plans(range(count)), 'rerun', count))
    found = summary(replanner, ticks)
    if options.json:
        print_json(found)
    else:
        show(found)
    return 0 if found['same'] == count else 1


def summary(replanner: Replanner, ticks: list[Tick]) -> dict[str, Any]:
    """What reruns come to."""
    snapshot = replanner.snapshot
    other = [tick for tick in ticks if not tick.same]
    trigger = snapshot.triggers[0]
    return {
        'snapshot': str(snapshot.folder),
        'task': snapshot.task.name,
        'trigger': f'{trigger.kind}: {trigger.reason}',
        'plans': len(ticks),
        'same': len(ticks) - len(other),
        'actions_differ': sum('action' in tick.differs for tick in ticks),
        'not_made': dict(collections.Counter(tick.problem for tick in ticks if tick.problem)),
        'first': _first(snapshot, other[0]) if other else None,
        'why': _why(replanner, other),
        'environment_differs': replanner.notes,
    }


def _first(snapshot: Snapshot, tick: Tick) -> dict[str, Any]:
    plans = snapshot.columns.plans
    return {
        'plan': tick.row,
        'stamp_s': int(plans.stamp[tick.row]) / 1e9,
        'before_s': (snapshot.triggers[0].time - int(plans.time[tick.row])) / 1e9,
        'what': tick.describe(),
        'recorded': plans.action[tick.row].tolist(),
        'again': None if tick.plan is None else tick.plan.action.tolist(),
    }


def _why(replanner: Replanner, other: list[Tick]) -> str:
    """As far as it can be known."""
    if not other:
        return ''
    if all(tick.plan is None for tick in other):
        return 'what a plan needs is missing'
    if replanner.notes:
        return 'not where it was planned: ' + '; '.join(replanner.notes)
    return (
        'machine, libraries and code are those of then: the snapshot was changed, or the planner '
        'depends on something that is not recorded'
    )


def show(found: dict[str, Any]) -> None:
    """Print it as a table."""
    table = Table(
        title=f'{found["task"]}, {found["trigger"]}',
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_header=False,
    )
    table.add_column()
    table.add_column()
    table.add_row('plans made again', f'{found["plans"]:,}')
    table.add_row('the same, bit for bit', f'{found["same"]:,}')
    if found['first'] is not None:
        first = found['first']
        table.add_row('with another action', f'{found["actions_differ"]:,}')
        for problem, count in found['not_made'].items():
            table.add_row('not made', f'{count:,}: {problem}')
        when = f'plan {first["plan"]:,}, {first["before_s"]:.3f} s before the event'
        table.add_row('the first that differs', f'{when}: {first["what"]}')
        table.add_row('why', found['why'])
    elif found['environment_differs']:
        table.add_row('though here', '; '.join(found['environment_differs']))
    Console().print(table)
