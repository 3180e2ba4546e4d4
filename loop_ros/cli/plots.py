# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures: learning curve, driven line, sweep, comparison, calibration, horizon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Circle

from loop_ros.runner import Episode
from loop_ros.sim.drawing import Curve
from loop_ros.sim.task import Task
from loop_ros.types import Array

Row = dict[str, Any]


def smooth(values: list[float], window: int = 10) -> Array:
    """Mean of the last `window` values at each place."""
    sums = np.cumsum(np.concatenate(([0.0], values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return (sums[ends] - sums[starts]) / (ends - starts)


def curve(rows: list[Row], path: Path) -> None:
    """Return and cost of the training episodes over environment steps."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(8, 5), height_ratios=(2, 1))
    steps = [row['step'] for row in rows]
    for axes, name in ((top, 'return'), (bottom, 'cost')):
        values = [row[name] for row in rows]
        axes.plot(steps, values, '.', color='0.7', markersize=3)
        axes.plot(steps, smooth(values), color='tab:blue')
        axes.set_ylabel(f'{name} / episode')
        axes.grid(alpha=0.3)
    bottom.set_xlabel('environment steps')
    _save(figure, path)


def has_lines(task: Task) -> bool:
    """Whether the observations of a task say where on the ground the robot is."""
    return {'x', 'y'} <= set(task.observation_labels)


def draw_circles(axes: Axes, task: Task, **track: Any) -> None:
    """The task's circles: limits dashed red, others in the style of `track`."""
    for circle in task.drawing.circles:
        style = (
            {'color': 'tab:red', 'linestyle': '--'} if circle.limit else {'color': '0.6'} | track
        )
        axes.add_patch(Circle((circle.x, circle.y), circle.radius, fill=False, **style))


def draw_lines(axes: Axes, episodes: list[Episode], task: Task) -> LineCollection:
    """Driven lines among the task's circles, coloured as its drawing says, else by the step."""
    draw_circles(axes, task)
    curve = _colouring(task)
    place = [task.observation_labels.index(label) for label in ('x', 'y')]
    segments: list[Array] = []
    colours: list[float] = []
    for episode in episodes:
        states = np.array(episode.observations)[:, place]
        segments.extend(np.stack((states[:-1], states[1:]), axis=1))
        after = episode.observations[1:]
        colours.extend(
            [task.metrics(o)[curve.metric] for o in after] if curve else range(len(after))
        )
    lines = LineCollection(segments, cmap='viridis', array=np.array(colours), linewidth=1.0)
    if curve:
        lines.set_clim(curve.colours)
    axes.add_collection(lines)
    axes.margins(0.1)
    axes.autoscale_view()
    axes.set_aspect('equal')
    return lines


def line(episodes: list[Episode], task: Task, path: Path) -> None:
    """The driven lines with the heading of the first, and each metric over time."""
    metrics = task.metrics(episodes[0].observations[0])
    curves = task.drawing.curves or tuple(Curve(name) for name in metrics)
    rows: Any = [['line', f'curve {place}'] for place in range(len(curves))]
    figure, axes = plt.subplot_mosaic(rows, figsize=(11, 6.5), width_ratios=(1.3, 1))
    lines = draw_lines(axes['line'], episodes, task)
    title = 'driven lines'
    if 'yaw' in task.observation_labels:
        _draw_heading(axes['line'], episodes[0], task)
        title += '; arrows: heading of the first'
    axes['line'].set_title(title)
    colouring = _colouring(task)
    figure.colorbar(lines, ax=axes['line'], label=_named(colouring) or 'step', shrink=0.8)
    for place, curve in enumerate(curves):
        _draw_curve(axes[f'curve {place}'], episodes, curve, task)
    axes[rows[-1][1]].set_xlabel('step')
    _save(figure, path)


def _colouring(task: Task) -> Curve | None:
    return next((curve for curve in task.drawing.curves if curve.colours), None)


def _named(curve: Curve | None) -> str:
    """Its metric with the unit, spelt out."""
    if curve is None:
        return ''
    return f'{curve.metric} [{curve.unit}]' if curve.unit else curve.metric


def _draw_heading(axes: Axes, episode: Episode, task: Task) -> None:
    places = [task.observation_labels.index(label) for label in ('x', 'y', 'yaw')]
    x, y, yaw = np.array(episode.observations)[::4, places].T
    axes.quiver(x, y, np.cos(yaw), np.sin(yaw), scale=18, width=0.004, color='0.2')


def _draw_curve(axes: Axes, episodes: list[Episode], curve: Curve, task: Task) -> None:
    for episode in episodes:
        values = [task.metrics(observation)[curve.metric] for observation in episode.observations]
        axes.plot(values, color='tab:blue', alpha=0.4, linewidth=0.8)
    if curve.limit is not None:
        axes.axhline(curve.limit, color='tab:red', linestyle='--')
    axes.set_ylabel(_named(curve))
    axes.grid(alpha=0.3)


def sweep(results: list[Row], lines: list[list[Episode]], task: Task, path: Path) -> None:
    """Return, cost and worst predicted cost over d0, and above them any lines driven under it."""
    names = [f'line {i}' for i in range(len(lines))]
    titles = {
        'mean_return': 'return / episode',
        'mean_cost': 'cost / episode',
        'worst_predicted_cost': 'worst predicted cost of a plan',
    }
    rows: Any = [[name for name in titles for _ in names or ['']]]
    if names:
        rows.insert(0, [name for name in names for _ in titles])
    figure, axes = plt.subplot_mosaic(rows, figsize=(2.6 * len(results), 3 * len(rows)))
    for name, result, driven in zip(names, results, lines, strict=False):
        draw_lines(axes[name], driven, task)
        axes[name].set_title(f'd0 = {result["d0"]:g}')
    labels = [f'{result["d0"]:g}' for result in results]
    for name, title in titles.items():
        values = [result[name] for result in results]
        errors = [result['std_return'] for result in results] if name == 'mean_return' else None
        axes[name].errorbar(labels, values, errors, fmt='o-', capsize=3)
        axes[name].set_title(title)
        axes[name].set_xlabel('safety threshold d0')
        axes[name].grid(alpha=0.3)
    axes['worst_predicted_cost'].plot(
        labels, [result['d0'] for result in results], '--', color='tab:red', label='d0'
    )
    axes['worst_predicted_cost'].legend()
    _save(figure, path)


def comparison(curves: dict[str, list[list[Row]]], path: Path) -> None:
    """Learning curves of several algorithms, mean and range over seeds."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(8, 6), height_ratios=(2, 1))
    lowest = []
    for label, seeds in curves.items():
        count = '1 seed' if len(seeds) == 1 else f'{len(seeds)} seeds'
        steps = np.linspace(0, min(rows[-1]['step'] for rows in seeds), 200)
        for axes, name in ((top, 'return'), (bottom, 'cost')):
            values = np.array([_at(steps, rows, name) for rows in seeds])
            (drawn,) = axes.plot(steps, values.mean(axis=0), label=f'{label}, {count}')
            axes.fill_between(
                steps, values.min(axis=0), values.max(axis=0), alpha=0.2, color=drawn.get_color()
            )
            axes.set_ylabel(f'{name} / episode')
            axes.grid(alpha=0.3)
        lowest.append(np.quantile([_at(steps, rows, 'return') for rows in seeds], 0.15))
    top.set_ylim(bottom=min(lowest))  # the first, random episodes would squeeze all others
    top.legend()
    bottom.set_xlabel('environment steps')
    _save(figure, path)


def calibration(rows: list[Row], path: Path) -> None:
    """Broken promises over d0, and realised over predicted cost, a column for a kind of trouble."""
    names = list(dict.fromkeys(row['disturbance'] for row in rows))
    kinds = list(dict.fromkeys(name.partition('=')[0] for name in names if name != 'none'))
    figure, axes = plt.subplots(
        2, len(kinds) or 1, figsize=(3.2 * len(kinds) + 1, 6.5),
        sharex='row', sharey='row', squeeze=False,
    )  # fmt: skip
    thresholds = sorted({row['d0'] for row in rows})
    for kind, (top, bottom) in zip(kinds or ['none'], axes.T, strict=True):
        shown = [name for name in names if name == 'none' or name.startswith(f'{kind}=')]
        colours = plt.colormaps['plasma'](np.linspace(0.05, 0.8, len(shown)))
        for i, name in enumerate(shown):
            colour = '0.55' if name == 'none' else colours[i]
            own = [row for row in rows if row['disturbance'] == name]
            aside = 0.1 * (i - (len(shown) - 1) / 2)  # so that intervals do not hide each other
            _draw_broken(top, own, thresholds, aside, color=colour, label=name)
            _draw_reliability(bottom, own, colour)
        top.set_title(kind)
        top.set_xticks(range(len(thresholds)), [f'{d0:g}' for d0 in thresholds])
        top.set_xlim(-0.5, len(thresholds) - 0.5)
        top.set_xlabel('safety threshold d0')
        top.legend(fontsize='small')
        bottom.set_xlabel('predicted worst cost')
        for panel in (top, bottom):
            panel.grid(alpha=0.3)
    axes[0, 0].set_ylabel('promise broken [% of promises]')
    axes[1, 0].set_ylabel('cost that then happened')
    _save(figure, path)


def horizon(rows: list[Row], chosen: int, path: Path) -> None:
    """Errors of predicted returns, and returns driven, over the horizon; `chosen` is marked."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    measured = [row for row in rows if 'total' in row]
    steps = [row['horizon'] for row in measured]
    for name, look in {'model': 'o--', 'value': 's--', 'total': 'D-'}.items():
        label = 'both' if name == 'total' else f'by the {name}'
        left.plot(steps, [row[name] for row in measured], look, ms=4, label=label)
    left.set_ylabel('error of predicted returns')
    left.set_ylim(bottom=0)
    right.errorbar(
        [row['horizon'] for row in rows], [row['mean_return'] for row in rows],
        [row['std_return'] for row in rows], fmt='o-', ms=4, capsize=2, color='tab:purple',
    )  # fmt: skip
    right.set_ylabel('return / episode')
    for axes in (left, right):
        axes.axvline(chosen, color='0.6', linestyle=':', label="the agent's own")
        axes.set_xlabel('planning horizon H, steps')
        axes.set_xticks([row['horizon'] for row in rows])
        axes.grid(alpha=0.3)
    left.legend(fontsize='small')
    _save(figure, path)


def _draw_broken(
    axes: Axes, rows: list[Row], thresholds: list[float], aside: float, **look: Any
) -> None:
    """The share of promises that were broken, with its interval, over d0."""
    given = [row for row in rows if row['broken'] is not None]
    places = [thresholds.index(row['d0']) + aside for row in given]
    names = ('broken', 'broken_low', 'broken_high')
    values, low, high = (100 * np.array([row[name] for row in given]) for name in names)
    errors = np.stack((values - low, high - values))
    axes.errorbar(places, values, errors, fmt='o-', capsize=2, ms=4, **look)


def _draw_reliability(axes: Axes, rows: list[Row], colour: Any) -> None:
    """Mean realised over mean predicted cost of all d0 together; more windows, larger dots."""
    bins: dict[int, list[Row]] = {}
    for row in rows:
        for each in row['reliability']:
            bins.setdefault(int(np.ceil(each['predicted'] - 1e-3)), []).append(each)
    sizes, x, y = [], [], []
    for _, found in sorted(bins.items()):
        counts = [each['windows'] for each in found]
        sizes.append(sum(counts))
        x.append(np.average([each['predicted'] for each in found], weights=counts))
        y.append(np.average([each['realised'] for each in found], weights=counts))
    axes.axline((0, 0), slope=1, color='tab:red', linestyle='--', linewidth=1)
    axes.plot(x, y, color=colour, linewidth=0.8)
    axes.scatter(x, y, 4 + 60 * np.sqrt(np.array(sizes) / sum(sizes)), color=colour)


def _at(steps: Array, rows: list[Row], name: str) -> Array:
    """A smoothed metric of the training episodes at given steps."""
    return np.interp(steps, [row['step'] for row in rows], smooth([row[name] for row in rows]))


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
