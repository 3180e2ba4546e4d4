# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a task: a line for each group with the range of its seeds, published beside."""

from __future__ import annotations

import html
import textwrap
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from loop_ros.cli.report.groups import Group
from loop_ros.cli.report.kinds import KINDS, Grid, Kind, Values
from loop_ros.cli.report.published import Published

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.types import Array

# Told apart by people who see colours differently (Okabe and Ito), on light and dark.
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c6bb1', '#a6761d')
DASHES = ('solid', 'dash', 'dot', 'dashdot')
SYMBOLS = ('circle', 'square', 'diamond', 'cross', 'x', 'triangle-up', 'star', 'hexagon')
GREY = '#888888'
SHOWN = 3  # published series at once
_BREAK = '<br>'
_WIDTH = 50  # letters of a line of the legend: what a phone shows

Style = tuple[str, str]  # colour, dash
Lines = tuple['Array', 'Array', 'Array']  # mean, least and most over seeds, [num_bins] each


@dataclass(frozen=True)
class Figure:
    """A figure as the page takes it."""

    title: str
    caption: str
    drawn: go.Figure

    def json(self) -> str:
        """For a script element; plotly writes < and / as escapes, so nothing ends it early."""
        return str(self.drawn.to_json())


def styles(labels: list[str]) -> dict[str, Style]:
    """A colour and dash for each label, the same in all figures of the page."""
    count = len(COLOURS)
    return {
        label: (COLOURS[i % count], DASHES[i // count % len(DASHES)])
        for i, label in enumerate(dict.fromkeys(labels))
    }


def draw(groups: list[Group], published: list[Published], style: dict[str, Style]) -> list[Figure]:
    """The figures for which the runs of a task have data."""
    grid = Grid.of([run for group in groups for run in group.runs])
    found = []
    for kind in KINDS:
        curves = _curves(groups, kind.values, grid)
        seconds = _curves(groups, kind.second, grid) if kind.second else []
        if not curves or (kind.second is not None and not seconds):
            continue
        figure = go.Figure(layout=_layout(kind, grid))
        for group, lines in curves:
            _add_group(figure, group, grid, lines, style[group.label])
        for group, lines in seconds:
            colour, _ = style[group.label]
            _add_line(figure, grid, lines[0], group.label, colour, 'dot', showlegend=False)
        beside = [p for p in published if p.quantity == kind.quantity]
        _add_published(figure, beside, grid)
        if not kind.logarithmic:
            drawn = [lines for _, lines in curves]
            figure.update_yaxes(range=_settled_range(kind, grid, drawn, beside))
        named = [trace.name for trace in figure.data if trace.showlegend is not False]
        figure.update_layout(height=300 + 12 * sum(name.count(_BREAK) + 1 for name in named))
        found.append(Figure(kind.title, _caption(kind, beside), figure))
    return found


def curve(group: Group, values: Values, grid: Grid) -> Lines | None:
    """Mean, least and most over the seeds that got to each step, [num_bins] each."""
    seeds = [found for run in group.runs if (found := values(run, grid)) is not None]
    if not seeds:
        return None
    table = np.array(seeds)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a bin that no seed has is NaN
        return np.nanmean(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0)


def _caption(kind: Kind, published: list[Published]) -> str:
    """What is seen; the sources of plan times too, which the table of the page does not have."""
    words = [kind.caption]
    if _series(published):
        words.append('Grey: published.')
    if kind.quantity == 'plan time':
        words += [f'{p.algorithm}: {p.source}; {p.remark}.' for p in published]
    return ' '.join(words)


def _curves(groups: list[Group], values: Values, grid: Grid) -> list[tuple[Group, Lines]]:
    """The curve of each group that has one."""
    curves = [(group, curve(group, values, grid)) for group in groups]
    return [(group, lines) for group, lines in curves if lines is not None]


def plain_layout(across: str, up: str) -> dict[str, Any]:
    """The layout of a figure that is not over steps of training."""
    return {
        'template': 'none',
        'margin': {'l': 60, 'r': 16, 't': 12, 'b': 44},
        'legend': {'orientation': 'h', 'y': -0.25, 'yanchor': 'top', 'font': {'size': 11}},
        'xaxis': {'title': {'text': across}},
        'yaxis': {'title': {'text': up}, 'hoverformat': '.4g', 'automargin': True},
    }


def _layout(kind: Kind, grid: Grid) -> dict[str, Any]:
    return {
        'template': 'none',
        'margin': {'l': 60, 'r': 16, 't': 12, 'b': 30},
        'hovermode': 'x unified',
        'legend': {'orientation': 'h', 'y': -0.12, 'yanchor': 'top', 'font': {'size': 11}},
        # Inside, where the legend below cannot cover it.
        'annotations': [
            {
                'text': 'steps',
                'showarrow': False,
                **{'xref': 'paper', 'x': 1, 'xanchor': 'right'},
                **{'yref': 'paper', 'y': 0, 'yanchor': 'bottom'},
            }
        ],
        'xaxis': {
            'range': [0, 1.02 * grid.steps[-1]],
            'hoverformat': ',.0f',
        },
        'yaxis': {
            'title': {'text': kind.axis},
            'type': 'log' if kind.logarithmic else 'linear',
            'hoverformat': '.4g',
            'automargin': True,
        },
    }


def _add_group(
    figure: go.Figure,
    group: Group,
    grid: Grid,
    lines: Lines,
    style: Style,
) -> None:
    """A line, and a band where there are several seeds."""
    colour, dash = style
    mean, low, high = lines
    known = np.isfinite(mean)
    if len(group.runs) > 1:
        steps = grid.steps[known]
        figure.add_scatter(
            x=[*steps.tolist(), *steps[::-1].tolist()],
            y=short(np.concatenate((high[known], low[known][::-1]))),
            fill='toself',
            fillcolor=_faint(colour),
            line={'width': 0},
            mode='lines',
            hoverinfo='skip',
            legendgroup=group.label,
            showlegend=False,
        )
    _add_line(figure, grid, mean, group.label, colour, dash, showlegend=True)


def _add_line(
    figure: go.Figure,
    grid: Grid,
    values: Array,
    label: str,
    colour: str,
    dash: str,
    showlegend: bool,
) -> None:
    known = np.isfinite(values)
    figure.add_scatter(
        x=grid.steps[known].tolist(),
        y=short(values[known]),
        mode='lines' if known.sum() > 1 else 'markers',
        name=_in_legend(label),
        legendgroup=label,
        line={'color': colour, 'dash': dash, 'width': 2},
        marker={'color': colour},
        showlegend=showlegend,
    )


def _add_published(figure: go.Figure, published: list[Published], grid: Grid) -> None:
    """Markers over several steps, a dashed level for a single value.

    The first few of the file are shown; a click in the legend shows another.
    """
    for index, ((algorithm, name), points) in enumerate(_series(published).items()):
        single = len(points) == 1
        x: list[Any] = [0.0, float(grid.steps[-1])] if single else [p.step for p in points]
        y = [points[0].value] * 2 if single else [p.value for p in points]
        when = f', {points[0].step // 1000:,}k' if single and points[0].step else ''
        figure.add_scatter(
            x=x,
            y=y,
            visible=True if index < SHOWN else 'legendonly',
            mode='lines' if single else 'lines+markers',
            name=_in_legend(f'{algorithm} ({name}{when})'),
            line={'color': GREY, 'width': 1.5, 'dash': DASHES[1 + index % 3]},
            marker={'color': GREY, 'symbol': SYMBOLS[index % len(SYMBOLS)], 'size': 8},
        )


def _series(published: list[Published]) -> dict[tuple[str, str], list[Published]]:
    """Comparable numbers by algorithm and source, over steps."""
    series: dict[tuple[str, str], list[Published]] = {}
    for point in published:
        if point.comparable and not isinstance(point.value, str):
            series.setdefault((point.algorithm, point.name), []).append(point)
    return series


def _settled_range(
    kind: Kind, grid: Grid, curves: list[Lines], published: list[Published]
) -> list[float] | None:
    """Limits of what follows the first tenth, where random actions may dwarf the rest.

    Published levels are in sight, but for costs: an unsafe peer's would flatten everything else.
    """
    last = grid.steps[-1]
    late = grid.steps > 0.1 * last
    values = np.concatenate([band[late] for _, *bands in curves for band in bands])
    for points in _series(published).values():
        level = len(points) == 1 and kind.quantity != 'cost'
        reached = [p.value for p in points if level or (p.step is not None and p.step <= last)]
        values = np.concatenate((values, np.array(reached, dtype=float)))
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    if kind.quantity != 'return':
        low = min(low, 0.0)
    margin = 0.06 * (high - low) or 1.0
    return [low - margin, high + margin]


def _in_legend(label: str) -> str:
    """Escaped, in lines; plotly cuts what is too long."""
    lines = textwrap.wrap(label, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return _BREAK.join(map(html.escape, lines))


def plain(name: str) -> str:
    """A name of a legend as text."""
    return html.unescape(name.replace(_BREAK, '\n'))


def short(values: Array) -> list[float]:
    """Four digits: more than a screen shows, half the size of the page."""
    return [float(f'{value:.4g}') for value in values]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f'rgba({red},{green},{blue},0.18)'
