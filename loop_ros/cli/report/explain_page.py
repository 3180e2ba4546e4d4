# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of `loop-ros explain`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loop_ros.cli.report import explain_figures
from loop_ros.cli.report.render import render
from loop_ros.cli.report.tables import Table, number
from loop_ros.cli.snapshot_summary import (
    EVENTS,
    Alternatives,
    last_spans,
    level_name,
    sentences,
    spans,
)
from loop_ros.snapshots.files import Snapshot

SHOWN = 10.0  # s around the event that figures begin with
LISTED = 8  # spans on each side of it
_MOST_LABELS = 4  # actions that a row has room for


def write(
    snapshot: Snapshot, found: Alternatives, notes: list[str], out: Path, command: str
) -> None:
    """The page, in one file."""
    trigger = snapshot.triggers[0]
    figures = (
        [explain_figures.happened(snapshot, SHOWN)] if len(snapshot.columns.commands.time) else []
    )
    if len(snapshot.columns.plans.time):
        figures.append(explain_figures.believed(snapshot, SHOWN))
    page = render(
        'explain.html',
        task=snapshot.task.name,
        event=EVENTS.get(trigger.kind, trigger.kind),
        sentences=sentences(snapshot, found),
        happened=_happened(snapshot),
        otherwise=_otherwise(snapshot, found) if found.rows else None,
        heeded=found.heeded,
        map=explain_figures.seen_from_above(snapshot, found, SHOWN),
        figures=figures,
        notes=notes,
        facts=_facts(snapshot),
        command=command,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding='utf-8')


def _happened(snapshot: Snapshot) -> Table:
    rows = []
    for span in last_spans(spans(snapshot), LISTED):
        length = f' ({span.commands:,} commands in {span.end - span.begin:.2f} s)'
        reason = f'{span.reason}{length if span.commands > 1 else ""}'
        rows.append([f'{span.begin:+.2f}', level_name(span), reason])
    return Table(['s', 'level', 'reason'], rows, [])


def _otherwise(snapshot: Snapshot, found: Alternatives) -> Table:
    labels = snapshot.task.action_labels
    named = labels if len(labels) <= _MOST_LABELS else ()
    last, plans = found.outlooks[-1], snapshot.columns.plans
    d0 = plans.metric('d0')[found.rows[-1]]
    rows = []
    for place, threshold in enumerate(found.thresholds):
        of_then = ', as it was' if threshold == d0 else ''
        safe = np.mean([each.safe_fractions[place] for each in found.outlooks])
        rows.append(
            [
                f'{threshold:g}{of_then}',
                f'{len(found.differs(snapshot, place)):,} of {len(found.rows):,}',
                *(f'{value:.3g}' for value in last.alternatives.actions[place][: len(named)]),
                number(float(last.alternatives.returns[place])),
                number(float(last.alternatives.costs[place])),
                f'{last.safe_fractions[place]:.0%}',
                f'{safe:.0%}',
            ]
        )
    columns = ['d0', 'plans that differ', *named, 'return', 'worst cost', 'sequences that keep it']
    return Table(
        [*columns, 'on average'],
        rows,
        [
            'Actions, return and worst cost: of the last plan before the event. On average, and '
            f"plans that differ (by over a quarter of an action's range): over the "
            f'{len(found.rows):,} plans before it. The sequences that the planner compared are '
            'weighed again for each d0; a search under it would have drawn others.'
        ],
    )


def _facts(snapshot: Snapshot) -> dict[str, str]:
    metadata, environment = snapshot.metadata, snapshot.metadata['environment']
    weights = [digest[:16] if digest else 'not kept' for digest in metadata['weights']]
    return {
        'snapshot': str(snapshot.folder),
        'node': str(metadata.get('node', '')),
        'weights': ', '.join(weights) or 'none',
        'seed': str(metadata['seed']),
        'planned on': ', '.join(map(str, metadata['devices'])),
        **{name: environment[name] for name in ('host', 'cpu', 'loop_ros', 'torch', 'python')
           if environment.get(name)},
    }  # fmt: skip
