# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures: learning curve, driven line, threshold sweep, comparison, calibration."""

from __future__ import annotations

from collections.abc import Callable
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
from loop_ros.sim.drift_car import LIMIT_RADIUS, RADIUS
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


def draw_lines(axes: Axes, episodes: list[Episode]) -> LineCollection:
    """Driven lines on the circle, coloured by slip angle."""
    axes.add_patch(Circle((0, 0), LIMIT_RADIUS, fill=False, color='tab:red', linestyle='--'))
    axes.add_patch(Circle((0, 0), RADIUS, fill=False, color='0.6'))
    segments, colours = [], []
    for episode in episodes:
        states = np.array(episode.observations)
        segments.extend(np.stack((states[:-1, :2], states[1:, :2]), axis=1))
        colours.extend(np.abs(np.arctan2(states[1:, 4], states[1:, 3])))
    lines = LineCollection(segments, cmap='viridis', array=np.array(colours), linewidth=1.0)
    lines.set_clim(0.0, 1.2)
    axes.add_collection(lines)
    axes.set_aspect('equal')
    axes.set_xlim(-1.45, 1.45)
    axes.set_ylim(-1.45, 1.45)
    return lines


def line(episodes: list[Episode], metrics: Callable[[Array], dict[str, float]], path: Path) -> None:
    """The driven lines with the heading of the first, and each metric over time."""
    figure, axes = plt.subplot_mosaic(
        [['line', name] for name in ('speed', 'slip', 'radius')],
        figsize=(11, 6.5), width_ratios=(1.3, 1),
    )  # fmt: skip
    lines = draw_lines(axes['line'], episodes)
    states = np.array(episodes[0].observations)[::4]
    axes['line'].quiver(
        states[:, 0], states[:, 1], np.cos(states[:, 2]), np.sin(states[:, 2]),
        scale=18, width=0.004, color='0.2',
    )  # fmt: skip
    axes['line'].set_title('driven lines; arrows: heading of the first')
    figure.colorbar(lines, ax=axes['line'], label='slip angle [rad]', shrink=0.8)
    for name, unit in (('speed', 'm/s'), ('slip', 'rad'), ('radius', 'm')):
        for episode in episodes:
            values = [metrics(observation)[name] for observation in episode.observations]
            axes[name].plot(values, color='tab:blue', alpha=0.4, linewidth=0.8)
        axes[name].set_ylabel(f'{name} [{unit}]')
        axes[name].grid(alpha=0.3)
    axes['radius'].axhline(LIMIT_RADIUS, color='tab:red', linestyle='--')
    axes['radius'].set_xlabel('step')
    _save(figure, path)


def sweep(results: list[Row], lines: list[list[Episode]], path: Path) -> None:
    """Return, cost and worst predicted cost over d0, and above them any lines driven under it."""
    names = [f'line {i}' for i in range(len(lines))]
    titles = {
        'mean_return': 'return / episode',
        'mean_cost': 'steps outside / episode',
        'worst_predicted_cost': 'worst predicted cost of a plan',
    }
    rows: Any = [[name for name in titles for _ in names or ['']]]
    if names:
        rows.insert(0, [name for name in names for _ in titles])
    figure, axes = plt.subplot_mosaic(rows, figsize=(2.6 * len(results), 3 * len(rows)))
    for name, result, driven in zip(names, results, lines, strict=False):
        draw_lines(axes[name], driven)
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
