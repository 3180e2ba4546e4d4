# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a report as files for a paper, drawn by matplotlib from the same traces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from loop_ros.cli.report.figures import Figure, plain

SIZE = (5.0, 3.4)  # inches: a column of a paper is 3.5, a page 7
LINES = {'solid': '-', 'dash': '--', 'dot': ':', 'dashdot': '-.'}
MARKERS = {'circle': 'o', 'square': 's', 'diamond': 'D', 'cross': '+', 'x': 'x',
           'triangle-up': '^', 'star': '*', 'hexagon': 'h'}  # fmt: skip


def write(figures: list[Figure], folder: Path, prefix: str) -> list[Path]:
    """Each figure as PREFIX-TITLE.svg and .png; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for each in figures:
        name = re.sub(r'[^a-z0-9]+', '-', f'{prefix} {each.title}'.lower()).strip('-')
        drawn = _draw(each)
        for kind in ('svg', 'png'):
            paths.append(folder / f'{name}.{kind}')
            drawn.savefig(paths[-1], dpi=200, bbox_inches='tight')
        plt.close(drawn)
    return paths


def _draw(each: Figure) -> Any:
    figure, axes = plt.subplots(figsize=SIZE)
    layout = each.drawn.layout
    for trace in each.drawn.data:
        if trace.visible != 'legendonly':
            _draw_trace(axes, trace)
    if layout.yaxis.type == 'log':
        axes.set_yscale('log')
    for limits, setting in ((axes.set_xlim, layout.xaxis), (axes.set_ylim, layout.yaxis)):
        if setting.range is not None:
            limits(*setting.range)
    axes.set(title=each.title, xlabel='steps', ylabel=layout.yaxis.title.text or '')
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc='upper left', bbox_to_anchor=(0, -0.16), frameon=False)
    return figure


def _draw_trace(axes: Axes, trace: Any) -> None:
    """A band between seeds, or a line."""
    if trace.fill == 'toself':
        red, green, blue, alpha = re.findall(r'[\d.]+', trace.fillcolor)
        colour = (int(red) / 255, int(green) / 255, int(blue) / 255)
        axes.fill(trace.x, trace.y, color=colour, alpha=float(alpha), linewidth=0)
        return
    axes.plot(
        trace.x,
        trace.y,
        color=trace.line.color,
        linestyle=LINES[trace.line.dash] if 'lines' in trace.mode else '',
        marker=MARKERS[trace.marker.symbol or 'circle'] if 'markers' in trace.mode else '',
        linewidth=1.5,
        markersize=4,
        label='_' if trace.showlegend is False else plain(trace.name),
    )
