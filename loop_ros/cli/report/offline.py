# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings from bags in the report: what they learned from and what is to be expected of them."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from loop_ros.cli.report import figures
from loop_ros.cli.report.tables import NONE, Table, number
from loop_ros.cli.runs import OfflineRun

DIVERGED = 'diverged'  # in place of a return
GOLD = figures.COLOURS[4]
SYMBOLS = ('circle', 'square', 'diamond', 'cross', 'triangle-up', 'triangle-down')
SHORT = {
    'horizon': 'H', 'proposal_std': 'sigma', 'temperature': 'eta', 'pessimism': 'beta_pess'
}  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """A run by what tells its folder from those of the others."""

    label: str
    run: OfflineRun


@dataclass(frozen=True)
class Part:
    """What a task's section says of its trainings from bags."""

    data: Table
    expected: Table
    figures: list[figures.Figure]
    details: list[tuple[str, Table]]  # a heading and a table to unfold


def by_task(found: Iterable[OfflineRun]) -> dict[str, list[Labelled]]:
    """The runs of each task; settings do not tell runs apart that learned from other bags."""
    tasks: dict[str, list[OfflineRun]] = {}
    for run in found:
        tasks.setdefault(run.result['task'], []).append(run)
    return {task: _labelled(trained) for task, trained in tasks.items()}


def part(trained: list[Labelled]) -> Part:
    """Tables and figures of a task's runs."""
    judged = [each for each in trained if each.run.expected is not None]
    drawn = [_model_error(judged)] if judged else []
    return Part(
        _data(trained),
        _expected(trained),
        [*drawn, *(_candidates_drawn(each) for each in judged)],
        [(f'{each.label}: all candidates', _candidates(each)) for each in judged],
    )


def _labelled(trained: list[OfflineRun]) -> list[Labelled]:
    folders = [str(run.folder.resolve()) for run in trained]
    common = os.path.commonpath(folders) if len(folders) > 1 else os.path.dirname(folders[0])
    labels = [os.path.relpath(folder, common) for folder in folders]
    return [
        Labelled(run.folder.name if label == '.' else label, run)
        for label, run in zip(labels, trained, strict=True)
    ]


def _data(trained: list[Labelled]) -> Table:
    columns = [
        'run', 'algorithm', 'seed', 'updates', 'transitions', 'episodes', 'return, mean',
        'return, most', 'cost, all', 'model error, 1 step', 'many steps', 'hours',
    ]  # fmt: skip
    return Table(
        columns,
        [_data_row(each) for each in trained],
        [
            'Return and cost as recorded. Model error: of held-out episodes, in standard '
            'deviations of the states, under recorded actions without a look in between; it is the '
            "models' mean that is judged."
        ],
    )


def _data_row(each: Labelled) -> list[str]:
    result, expected = each.run.result, each.run.expected
    data = result['data']
    wall_s = result.get('wall_s')
    errors = expected['model_error'] if expected else []
    return [
        each.label,
        result['algorithm'],
        str(result.get('seed', NONE)),
        _count(result.get('updates')),
        _count(data.get('transitions')),
        _count(data.get('episodes')),
        number(data.get('mean_return')),
        number(data.get('max_return')),
        number(data.get('total_cost')),
        number(errors[0]['error']) if errors else NONE,
        f'{number(errors[-1]["error"])} after {errors[-1]["step"]:.0f}' if errors else NONE,
        NONE if wall_s is None else f'{wall_s / 3600:.2f}',
    ]


def _expected(trained: list[Labelled]) -> Table:
    """Off-policy metrics; what was driven beside what the model says, where something was."""
    driven = any(each.run.evaluated for each in trained)
    columns = [
        'run',
        'held-out return',
        'actor, in the model',
        'plans, in the model',
        'their worst cost',
    ]
    if driven:
        columns += ['driven return', 'driven cost, mean', 'most']
    columns += ['actor, value', 'plans, value', 'recommended', 'gain']
    notes = [
        'In the model: episodes in the models, undiscounted, of the actor and of plans by the '
        'recommended settings; +- between models. Plans look ahead in the models that judge them '
        'here, which is kind to them. Value: fitted Q evaluation of the same two, '
        'which asks no model, discounted, from held-out starts; +- between its members. '
        'Recommended is the candidate with the highest return in the model less its spread; its '
        'gain over the actor is certain where it exceeds both spreads.'
    ]
    steps = {f'{e["steps"]:.0f}' for each in trained if (e := each.run.expected)}
    if steps:
        notes[0] += f' Episodes in the model have {" or ".join(sorted(steps))} steps.'
    if driven:
        notes.append(
            'Driven: what loop-ros evaluate said, put into the folder of the run as result.json; '
            '+- between episodes.'
        )
    left_out = [each.label for each in trained if each.run.expected is None]
    if left_out:
        notes.append(f'Not evaluated off policy: {", ".join(left_out)}.')
    return Table(columns, [_expected_row(each, driven) for each in trained], notes)


def _expected_row(each: Labelled, driven: bool) -> list[str]:
    expected = each.run.expected
    in_model, valued = [NONE] * 4, [NONE] * 4
    if expected:
        actor, plans = expected['actor'], expected['plans']
        in_model = [
            number(expected.get('held_out_return')),
            *(
                DIVERGED if of.get('diverged') else _spread(of['return'], of['spread'])
                for of in (actor, plans)
            ),
            number(plans['worst_cost']),
        ]
        valued = [
            _spread(actor['value'], actor['value_spread']),
            _spread(plans['value'], plans['value_spread']),
            _settings(expected['recommended']),
            'certain' if expected.get('better_than_actor') else 'uncertain',
        ]
    return [each.label, *in_model, *(_driven(each.run) if driven else []), *valued]


def _driven(run: OfflineRun) -> list[str]:
    found = run.evaluated or {}
    mean, std = found.get('mean_return'), found.get('std_return')
    return [
        number(mean) if std is None else _spread(mean, std),
        *(number(found.get(name)) for name in ('mean_cost', 'max_cost')),
    ]


def _candidates(each: Labelled) -> Table:
    """All of them, the best first."""
    expected = each.run.expected or {}
    ordered = sorted(_sound(expected), key=lambda row: -float(row['lower']))
    ordered += [row for row in expected['candidates'] if row.get('diverged')]
    settings = list(SHORT)
    figures_of = ('return', 'spread', 'lower', 'mean_cost', 'worst_cost')
    rows = [[f'{row[name]:.3g}' for name in settings] for row in ordered]
    for cells, row in zip(rows, ordered, strict=True):
        cells += [number(row[name]) for name in figures_of]
    columns = [*SHORT.values(), 'return in the model', 'spread', 'less spread', 'cost', 'worst']
    return Table(columns, rows, [])


def _model_error(judged: list[Labelled]) -> figures.Figure:
    """A line for each run; dotted: how far its models are apart."""
    figure = go.Figure(layout=figures.plain_layout('steps', 'standard deviations'))
    style = figures.styles([each.label for each in judged])
    for each in judged:
        rows = (each.run.expected or {})['model_error']
        for name, dash in (('error', 'solid'), ('spread', 'dot')):
            figure.add_scatter(
                x=[row['step'] for row in rows],
                y=[row[name] for row in rows],
                mode='lines+markers' if name == 'error' else 'lines',
                name=html.escape(each.label),
                legendgroup=each.label,
                showlegend=name == 'error',
                line={'color': style[each.label][0], 'dash': dash, 'width': 2},
            )
    figure.update_layout(hovermode='x unified', yaxis_rangemode='tozero')
    return figures.Figure(
        'Error of the model over steps',
        'On held-out episodes. Dotted: the spread of the models, which should not be far below '
        'the error: else they agree on what is wrong.',
        figure,
    )


def _candidates_drawn(each: Labelled) -> figures.Figure:
    """Returns in the model over eta: a colour for each sigma, a symbol for each H and beta_pess."""
    expected = each.run.expected or {}
    groups: dict[tuple[float, float, float], list[dict[str, float]]] = {}
    for row in _sound(expected):
        groups.setdefault((row['proposal_std'], row['horizon'], row['pessimism']), []).append(row)
    colours = sorted({std for std, _, _ in groups})
    symbols = list(dict.fromkeys(tuple(rest) for _, *rest in groups))
    figure = go.Figure(layout=figures.plain_layout('eta', 'return in the model'))
    for (std, *rest), rows in sorted(groups.items()):
        rows.sort(key=lambda row: row['temperature'])
        horizon, pessimism = rest
        figure.add_scatter(
            x=[row['temperature'] for row in rows],
            y=[row['return'] for row in rows],
            error_y={'array': [row['spread'] for row in rows], 'thickness': 1, 'width': 0},
            mode='lines+markers',
            name=f'sigma {std:g}, H {horizon:g}, beta_pess {pessimism:g}',
            marker={
                'color': figures.COLOURS[colours.index(std) % len(figures.COLOURS)],
                'symbol': SYMBOLS[symbols.index(tuple(rest)) % len(SYMBOLS)],
            },
        )
    if not expected['actor'].get('diverged'):
        _add_actor(figure, expected)
    if expected['recommended']:
        best = expected['plans']
        figure.add_scatter(
            x=[best['temperature']],
            y=[best['return']],
            mode='markers',
            name='recommended',
            marker={'color': GOLD, 'symbol': 'star', 'size': 14},
        )
    figure.update_xaxes(type='log')
    figure.update_layout(height=460)
    return figures.Figure(
        f'{each.label}: return of plans in the model by their settings',
        f'Bars: spread of the models. Recommended: {_settings(expected["recommended"])}. Grey: the '
        'actor.',
        figure,
    )


def _add_actor(figure: go.Figure, expected: dict[str, Any]) -> None:
    value, spread = expected['actor']['return'], expected['actor']['spread']
    line = {'color': figures.GREY, 'dash': 'dash', 'width': 1.5}
    figure.add_hline(y=value, line=line)
    figure.add_hrect(
        y0=value - spread, y1=value + spread, fillcolor=figures.GREY, opacity=0.12, line_width=0
    )


def _sound(expected: dict[str, Any]) -> list[dict[str, float]]:
    """The candidates whose episodes did not diverge."""
    return [row for row in expected['candidates'] if not row.get('diverged')]


def _settings(recommended: dict[str, float]) -> str:
    if not recommended:
        return 'none'
    names = {name.partition('.')[2]: value for name, value in recommended.items()}
    return ', '.join(f'{SHORT[name]} {names[name]:.3g}' for name in SHORT)


def _spread(value: float | None, spread: float | None) -> str:
    return f'{number(value)} +- {number(spread)}'


def _count(value: Any) -> str:
    return f'{value:,}' if isinstance(value, int) else NONE
