# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves of the last minute, as options of ECharts."""

from __future__ import annotations

from typing import Any

import numpy as np

from loop_ros.panel.history import SECONDS, Snapshot
from loop_ros.types import Array

# Title, unit, curves (a second one is a limit), factor, and what the axis holds at least.
CHARTS: dict[str, tuple[str, str, tuple[str, ...], float, tuple[float | None, float | None]]] = {
    'return': ('predicted return', '', ('predicted_return',), 1.0, (None, None)),
    'cost': ('worst predicted cost and d0', '', ('worst_cost', 'd0'), 1.0, (0.0, 1.0)),
    'safe': ('safe sequences', '%', ('safe_fraction',), 100.0, (0.0, 100.0)),
    'time': ('time of a plan and control period', 'ms', ('plan_s', 'period'), 1e3, (0.0, None)),
    'level': ('level: 0 plan, 4 stop', '', ('level',), 1.0, (0.0, 4.0)),
}


def options(name: str) -> dict[str, Any]:
    """An empty chart."""
    title, unit, curves, _, (low, high) = CHARTS[name]
    ink = {'color': '#888'}
    return {
        'animation': False,
        'title': {'text': f'{title}, {unit}' if unit else title, 'left': 0, 'top': 0,
                  'textStyle': {'fontSize': 13, 'fontWeight': 'normal', **ink}},
        'grid': {'left': 44, 'right': 10, 'top': 28, 'bottom': 22},
        'tooltip': {'trigger': 'axis'},
        'xAxis': {'type': 'value', 'min': -SECONDS, 'max': 0,
                  'axisLabel': {'formatter': '{value} s', **ink}, 'splitLine': {'show': False}},
        'yAxis': {'type': 'value', 'scale': True, 'min': low, 'axisLabel': ink,
                  'axisLine': {'onZero': False},
                  **({'max': high} if name in ('safe', 'level') else {}),
                  'splitLine': {'lineStyle': {'color': '#8883'}}},
        'series': [
            {'type': 'line', 'name': curve, 'showSymbol': False, 'data': [],
             'step': 'end' if curve in ('d0', 'level') else False,
             'lineStyle': {'width': 1.5, 'type': 'dashed' if curve in ('d0', 'period') else 'solid',
                           'color': '#d04a3f' if curve in ('d0', 'period') else '#3878c8'}}
            for curve in curves
        ],
    }  # fmt: skip


def data(name: str, seen: Snapshot, period: float) -> list[list[list[float | None]]]:
    """Points of each of a chart's curves; gaps where there is no figure."""
    _, _, curves, factor, _ = CHARTS[name]
    time = seen.curves['time']
    values = {**seen.curves, 'period': np.full(len(time), period)}
    return [_points(time, factor * values[curve]) for curve in curves]


def _points(time: Array, values: Array) -> list[list[float | None]]:
    known = np.isfinite(values)
    return [
        [round(at, 2), float(f'{value:.4g}') if there else None]
        for at, value, there in zip(time.tolist(), values.tolist(), known.tolist(), strict=True)
    ]
