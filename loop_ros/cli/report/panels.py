# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Panels over a common time, one below the other."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from loop_ros.cli.report.figures import COLOURS, short
from loop_ros.types import Array

RECORDED, PLANNED, LIMIT = COLOURS[1], COLOURS[0], COLOURS[3]
_PANEL = 120  # pixels


@dataclass(frozen=True)
class Panel:
    """A strip of the figure."""

    title: str
    draw: Callable[[go.Figure, int], None]  # into a row


def stacked(panels: Sequence[Panel]) -> go.Figure:
    """The panels as one figure; a drag zooms all of them."""
    drawn = make_subplots(
        rows=len(panels),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.3 / len(panels),
        subplot_titles=[html.escape(panel.title) for panel in panels],
    )
    for row, panel in enumerate(panels, 1):
        panel.draw(drawn, row)
    # plotly centres the titles; at the left they can be read down the page.
    drawn.update_annotations(x=0, xanchor='left', font={'size': 12})
    drawn.update_layout(
        template='none',
        height=_PANEL * len(panels) + 60,
        margin={'l': 60, 'r': 16, 't': 44, 'b': 36},
        showlegend=False,
        hovermode='x unified',
    )
    drawn.update_yaxes(hoverformat='.4g', automargin=True, nticks=4)
    drawn.update_xaxes(title_text='s', row=len(panels))
    return drawn


def line(
    figure: go.Figure,
    row: int,
    time: Array,
    values: Array,
    name: str,
    colour: str,
    dash: str = 'solid',
    shape: str = 'linear',
) -> None:
    """Values [T] over time (s); steps without one, as between plans, are passed over."""
    known = np.isfinite(values)
    figure.add_scatter(
        x=short(time[known]),
        y=short(values[known]),
        mode='lines' if known.sum() > 1 else 'markers',
        name=name,
        line={'color': colour, 'dash': dash, 'width': 1.5, 'shape': shape},
        row=row,
        col=1,
    )


def dots(figure: go.Figure, row: int, time: Array, values: Array, name: str, colour: str) -> None:
    """Values [n] at some times (s)."""
    figure.add_scatter(
        x=short(time),
        y=short(values),
        mode='markers',
        marker={'color': colour, 'size': 5},
        name=name,
        row=row,
        col=1,
    )


def level(figure: go.Figure, row: int, value: float) -> None:
    """A limit."""
    figure.add_hline(y=value, line={'color': LIMIT, 'dash': 'dash', 'width': 1}, row=row, col=1)
