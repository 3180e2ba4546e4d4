# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A driven line from above, and plans that lead off it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from loop_ros.cli.report.figures import GREY, Figure, short
from loop_ros.cli.report.panels import RECORDED
from loop_ros.types import Array

MOST = 40  # plans that are drawn in one colour
_HEIGHT = 460  # pixels


@dataclass(frozen=True)
class Departures:
    """Plans that are drawn alike."""

    name: str
    colour: str
    paths: list[Array]  # [H+1, 2] each, m
    dash: str = 'solid'


def draw(
    title: str,
    caption: str,
    driven: Array,
    departures: Sequence[Departures],
    marked: Sequence[tuple[Array, str]] = (),
) -> Figure:
    """The driven line [T, 2]; `marked` are places [2] on it and their texts."""
    drawn = go.Figure()
    drawn.add_scatter(
        **_points(driven), mode='lines', name='driven', line={'color': RECORDED, 'width': 2}
    )
    for group in departures:
        chosen = np.linspace(0, len(group.paths) - 1, min(MOST, len(group.paths))).round()
        paths = [group.paths[int(place)] for place in chosen]
        drawn.add_scatter(
            **_points(_joined(paths)),
            mode='lines',
            name=html.escape(group.name),
            line={'color': group.colour, 'width': 1.5, 'dash': group.dash},
        )
    if marked:
        drawn.add_scatter(
            **_points(np.array([place for place, _ in marked])),
            mode='markers+text',
            text=[html.escape(text) for _, text in marked],
            textposition='top center',
            marker={'color': GREY, 'size': 7},
            showlegend=False,
        )
    drawn.update_layout(
        template='none',
        height=_HEIGHT,
        margin={'l': 48, 'r': 16, 't': 16, 'b': 40},
        legend={'orientation': 'h', 'y': 1.02, 'yanchor': 'bottom'},
        xaxis={'title': {'text': 'x, m'}, 'constrain': 'domain', 'zeroline': False},
        yaxis={'scaleanchor': 'x', 'automargin': True, 'zeroline': False},
    )
    return Figure(title, caption, drawn)


def _points(places: Array) -> dict[str, list[float | None]]:
    """Coordinates for a trace; None, at which a line breaks, for NaN."""

    def plain(column: Array) -> list[float | None]:
        return [None if value != value else value for value in short(column)]

    return {'x': plain(places[:, 0]), 'y': plain(places[:, 1])}


def _joined(paths: Sequence[Array]) -> Array:
    """Paths as one line that breaks between them."""
    broken = np.full((1, 2), np.nan)
    parts = [part for path in paths for part in (path, broken)]
    return np.concatenate(parts) if parts else np.empty((0, 2))
