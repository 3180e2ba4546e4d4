# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros explain: one page about a snapshot, to be read in a minute."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from loop_ros.cli.report import libraries
from loop_ros.cli.snapshot_summary import Alternatives, before
from loop_ros.outlook import outlook
from loop_ros.progress import track
from loop_ros.snapshots import files
from loop_ros.snapshots.rerun import Replanner

FACTORS = (0.0, 0.5, 1.0, 2.0, 4.0)  # of d0, at which the planner is asked what it would have done


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    with libraries('explain'):
        from loop_ros.cli.report import explain_page
    out: Path = options.out
    if out.is_dir():
        raise ValueError(f'--out {out}: is a folder; name the page, as snapshot.html')
    snapshot = files.read(options.snapshot, options.task)
    replanner = Replanner(snapshot)
    rows = before(snapshot, options.seconds)
    found = alternatives(replanner, rows, options.d0)
    explain_page.write(snapshot, found, replanner.notes, out, command_line(options))
    print(out)
    return 0


def alternatives(
    replanner: Replanner, rows: Sequence[int], thresholds: Sequence[float] | None
) -> Alternatives:
    """What the planner would have done in some of its plans at other thresholds."""
    snapshot = replanner.snapshot
    if thresholds is None:
        d0 = snapshot.columns.plans.metric('d0')[rows[-1]] if rows else 1.0
        thresholds = [factor * (d0 or 1.0) for factor in FACTORS]
    found = Alternatives(sorted(set(thresholds)))
    for row in track(rows, 'explain', len(rows)):
        tick = replanner.plan(row)
        found.ticks.append(tick)
        if tick.agent is None:
            continue
        seen = outlook(tick.agent, found.thresholds)
        if seen is not None:
            found.rows.append(row)
            found.outlooks.append(seen)
    return found


def command_line(options: argparse.Namespace) -> str:
    """The command line that makes this page."""
    typed = ['loop-ros', 'explain', str(options.snapshot), '--seconds', f'{options.seconds:g}']
    if options.task is not None:
        typed += ['--task', options.task]
    if options.d0 is not None:
        typed += ['--d0', *(f'{value:g}' for value in options.d0)]
    return shlex.join([*typed, '--out', str(options.out)])
