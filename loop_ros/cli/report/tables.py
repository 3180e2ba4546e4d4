# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of a task: final metrics with intervals, and published ones beside ours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loop_ros.cli.report import aggregates
from loop_ros.cli.report.groups import Group, steps_asked
from loop_ros.cli.report.published import Published
from loop_ros.cli.runs import Row, Run
from loop_ros.sim import registry

NONE = '–'


@dataclass(frozen=True)
class Table:
    """Words in rows; the first column names the row."""

    columns: list[str]
    rows: list[list[str]]
    notes: list[str]


@dataclass(frozen=True)
class Beside:
    """What was reached by a step: published rows, then ours."""

    heading: str
    rows: list[list[str]]  # who, return, cost, step, source
    ours: list[bool]


def number(value: float | str | None) -> str:
    """Four digits, thousands apart; a dash where there is none."""
    if value is None or isinstance(value, str):
        return value or NONE
    if not math.isfinite(value):
        return NONE
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.4g}'


def final(groups: list[Group]) -> Table:
    """Evaluation after the last step: interquartile mean and mean cost with their intervals."""
    metrics = _metrics(groups)
    costly = any(_costs(group) for group in groups)
    columns = ['algorithm', 'seeds', 'steps', 'return, IQM [95 %]', 'return, mean', 'worst seed']
    if costly:
        columns += ['cost, mean [95 %]', 'cost, most', 'training cost']
    columns += [_heading(name, groups) for name in metrics] + ['plan, ms', 'hours']
    return Table(columns, [_row(g, metrics, costly) for g in groups], _notes(groups, costly))


def _row(group: Group, metrics: list[str], costly: bool) -> list[str]:
    returns = group.evaluated('return')
    steps = sorted({int(run.rows[-1]['step']) for run in group.runs})
    row = [
        group.label,
        str(len(group.runs)),
        f'{steps[0]:,}' if len(steps) == 1 else f'{steps[0]:,} to {steps[-1]:,}',
        _with_interval(returns, aggregates.interquartile_mean),
        number(group.mean('mean_return')),
        number(min(run.result['mean_return'] for run in group.runs)),
    ]
    if costly:
        most = [run.result.get('max_cost') for run in group.runs]
        known = [value for value in most if isinstance(value, int | float)]
        row += [
            _with_interval(group.evaluated('cost'), aggregates.mean),
            number(max(known)) if known else NONE,
            number(float(np.mean([training_cost(run) for run in group.runs]))),
        ]
    row += [number(group.mean(name)) for name in metrics]
    wall_s = group.mean('wall_s')
    return [*row, number(_plan_ms(group)), NONE if wall_s is None else f'{wall_s / 3600:.2f}']


def _notes(groups: list[Group], costly: bool) -> list[str]:
    notes = [
        'Return, IQM: interquartile mean over the evaluation episodes of all seeds. [95 %]: '
        'bootstrap interval, seeds drawn first, then episodes of each.'
    ]
    if costly:
        notes.append('Training cost: all that a seed paid in training, mean over seeds.')
    single = [group.label for group in groups if len(group.runs) == 1]
    if single:
        notes.append(f'One seed only, so no spread of seeds in the interval: {", ".join(single)}.')
    means = [group.label for group in groups if not group.episodes_known]
    if means:
        notes.append(
            'Episodes were not recorded, so IQM and interval are those of the means of the seeds: '
            f'{", ".join(means)}.'
        )
    early = [str(run.folder) for group in groups for run in group.runs if _ended_early(run)]
    if early:
        notes.append(f'Ended before the steps asked for: {", ".join(early)}.')
    return notes


def beside(groups: list[Group], published: list[Published]) -> list[Beside]:
    """A block for each step that metrics are published for, ours at the same step.

    A group that ended earlier shows its last value in the first block that it does not reach.
    """
    comparable = [p for p in published if p.comparable and p.quantity != 'plan time']
    steps = sorted({p.step for p in comparable if p.step is not None})
    blocks = []
    for index, step in enumerate(steps):
        before = steps[index - 1] if index else 0
        rows = _published_rows(p for p in comparable if p.step == step)
        ours = [_our_row(group, step) for group in groups if _last_step(group) > before]
        blocks.append(_block(f'at {step:,} steps', rows, ours))
    finished = _published_rows(p for p in comparable if p.step is None)
    if finished:
        ends = [_our_row(group, math.inf) for group in groups]
        blocks.append(_block('finished, ours at the end of training', finished, ends))
    others = _published_rows(p for p in published if not p.comparable)
    if others:
        blocks.append(_block('not comparable', others, []))
    return blocks


def _block(heading: str, published: list[list[str]], ours: list[list[str]]) -> Beside:
    return Beside(heading, [*published, *ours], [False] * len(published) + [True] * len(ours))


def _published_rows(published: Iterable[Published]) -> list[list[str]]:
    """Return and cost of an algorithm from one source in one row."""
    rows: dict[tuple[str, str, int | None], list[str]] = {}
    for point in published:
        source = f'{point.source}; {point.remark}' if point.remark else point.source
        step = NONE if point.step is None else f'{point.step:,}'
        key = (point.algorithm, source, point.step)
        row = rows.setdefault(key, [point.algorithm, NONE, NONE, step, source])
        row[1 if point.quantity == 'return' else 2] = number(point.value)
    return list(rows.values())


def _our_row(group: Group, step: float) -> list[str]:
    """Mean over seeds of what a group had reached by a step, and how it was measured."""
    reached = min(step, _last_step(group))
    if reached == _last_step(group):
        how, measured = 'final evaluation', _finally
    elif all(run.evaluations for run in group.runs):
        how, measured = 'last evaluation by then', _evaluated
    else:
        how, measured = 'last 10 training episodes by then', _trained
    seeds = '1 seed' if len(group.runs) == 1 else f'{len(group.runs)} seeds'
    values = np.array([measured(run, reached) for run in group.runs]).mean(axis=0)
    numbers = [number(float(value)) for value in values]
    return [group.label, *numbers, f'{int(reached):,}', f'ours, {seeds}, {how}']


def _finally(run: Run, step: float) -> tuple[float, float]:
    """Return and cost of the evaluation after the last step."""
    return run.result['mean_return'], run.result.get('mean_cost', math.nan)


def _evaluated(run: Run, step: float) -> tuple[float, float]:
    return _at(run.evaluations, 'mean_return', step, 1), _at(run.evaluations, 'mean_cost', step, 1)


def _trained(run: Run, step: float) -> tuple[float, float]:
    return _at(run.rows, 'return', step, 10), _at(run.rows, 'cost', step, 10)


def _at(rows: list[Row], name: str, step: float, window: int) -> float:
    steps = np.array([row['step'] for row in rows])
    values = np.array([row.get(name, math.nan) for row in rows])
    return aggregates.at_step(steps, values, step, window)


def training_cost(run: Run) -> float:
    """All cost paid while training."""
    recorded = run.result.get('training_cost')
    if isinstance(recorded, int | float):
        return float(recorded)
    return float(sum(row['cost'] for row in run.rows))


def _last_step(group: Group) -> float:
    """The last step that all seeds reached."""
    return min(run.rows[-1]['step'] for run in group.runs)


def _ended_early(run: Run) -> bool:
    asked = steps_asked(run)
    return asked is not None and run.rows[-1]['step'] < asked


def _costs(group: Group) -> bool:
    """Whether the group paid any cost, in training or after."""
    return any(training_cost(run) > 0 or run.result.get('mean_cost', 0) > 0 for run in group.runs)


def _metrics(groups: list[Group]) -> list[str]:
    """The task's own metrics in result.json, as mean_speed."""
    names: dict[str, None] = {}
    for group in groups:
        for run in group.runs:
            names.update(dict.fromkeys(n for n in run.result if n.startswith('mean_')))
    return [name for name in names if name not in ('mean_return', 'mean_cost')]


def _heading(name: str, groups: list[Group]) -> str:
    """A metric with its unit, where the task is known here and says it."""
    metric = name.removeprefix('mean_')
    try:
        drawing = registry.task(str(groups[0].runs[0].result['task'])).drawing
    except (ValueError, ImportError):
        return metric
    unit = next((curve.unit for curve in drawing.curves if curve.metric == metric), '')
    return f'{metric}, {unit}' if unit else metric


def _plan_ms(group: Group) -> float | None:
    rate = group.mean('plan_hz')
    return 1e3 / rate if rate else None


def _with_interval(seeds: list[aggregates.Array], statistic: aggregates.Statistic) -> str:
    if not seeds:
        return NONE
    text = number(float(statistic(np.concatenate(seeds))))
    limits = aggregates.interval(seeds, statistic)
    return text if limits is None else f'{text} [{number(limits[0])}, {number(limits[1])}]'
