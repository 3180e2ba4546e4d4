# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Curves of the last minute, as options of ECharts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from loop_ros.panel.history import SECONDS, Snapshot
from loop_ros.types import Array

LIMITS = ('d0', 'period')  # curves that others are not to cross


class Chart(NamedTuple):
    """One of the page's charts."""

    title: str
    curves: tuple[str, ...]
    unit: str = ''
    factor: float = 1.0  # from SI to the unit
    low: float | None = None  # where the axis begins and ends; None: as the curves do
    high: float | None = None


CHARTS = {
    'return': Chart('predicted return', ('predicted_return',)),
    'cost': Chart('worst predicted cost and d0', ('worst_cost', 'd0'), low=0.0),
    'safe': Chart('safe sequences', ('safe_fraction',), '%', 100.0, 0.0, 100.0),
    'time': Chart('time of a plan and control period', ('plan_s', 'period'), 'ms', 1e3, 0.0),
    'level': Chart('level: 0 plan, 4 stop', ('level',), low=0.0, high=4.0),
}


def options(name: str) -> dict[str, Any]:
    """An empty chart."""
    chart, ink = CHARTS[name], {'color': '#888'}
    title = f'{chart.title}, {chart.unit}' if chart.unit else chart.title
    limits = {'min': chart.low} if chart.high is None else {'min': chart.low, 'max': chart.high}
    return {
        'animation': False,
        'title': {'text': title, 'left': 0, 'top': 0,
                  'textStyle': {'fontSize': 13, 'fontWeight': 'normal', **ink}},
        'grid': {'left': 44, 'right': 10, 'top': 28, 'bottom': 22},
        'tooltip': {'trigger': 'axis'},
        'xAxis': {'type': 'value', 'min': -SECONDS, 'max': 0,
                  'axisLabel': {'formatter': '{value} s', **ink}, 'splitLine': {'show': False}},
        'yAxis': {'type': 'value', 'scale': True, 'axisLabel': ink, **limits,
                  'axisLine': {'onZero': False}, 'splitLine': {'lineStyle': {'color': '#8883'}}},
        'series': [
            {'type': 'line', 'name': curve, 'showSymbol': False, 'data': [],
             'step': 'end' if curve in ('d0', 'level') else False,
             'lineStyle': {'width': 1.5, 'type': 'dashed' if curve in LIMITS else 'solid',
                           'color': '#d04a3f' if curve in LIMITS else '#3878c8'}}
            for curve in chart.curves
        ],
    }  # fmt: skip


def data(name: str, seen: Snapshot, period: float) -> list[list[list[float | None]]]:
    """Points of each of a chart's curves; gaps where there is no figure."""
    chart = CHARTS[name]
    time = seen.curves['time']
    values = {**seen.curves, 'period': np.full(len(time), period)}
    return [_points(time, chart.factor * values[curve]) for curve in chart.curves]


def _points(time: Array, values: Array) -> list[list[float | None]]:
    known = np.isfinite(values)
    return [
        [round(at, 2), float(f'{value:.4g}') if there else None]
        for at, value, there in zip(time.tolist(), values.tolist(), known.tolist(), strict=True)
    ]
