# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros theory: the pictures and numbers of docs/theory.md."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from loop_ros.cli import tables
from loop_ros.theory import bounds, experiments
from loop_ros.types import Array

HORIZONS = experiments.HORIZONS
# Model error and value error of the three columns of the trade-off.
TRADE_OFF = {
    'small model error': (0.002, 1.0),
    'both': (0.05, 1.0),
    'small value error': (0.2, 0.02),
}


def run(options: argparse.Namespace) -> int:
    """Write tightness.png, trade_off.png, best_horizon.png and theory.json."""
    options.out.mkdir(parents=True, exist_ok=True)
    shares = experiments.tightness(options.problems, options.seed)
    problems = experiments.Problems(options.problems, options.seed)
    best = experiments.best_horizons(options.problems, options.seed)
    rows = experiments.summary(shares)
    tightness(shares, options.out / 'tightness.png')
    trade_off(problems, options.out / 'trade_off.png')
    best_horizon(best, options.out / 'best_horizon.png')
    numbers = {
        'seed': options.seed,
        'problems': options.problems,
        'loss as a share of the bound': rows,
        'best horizon (0: no model)': best,
        'greatest V*, mean': float(problems.optimal.max(axis=-1).mean()),
        'horizons': HORIZONS,
        'random model': _losses(problems, misleading=False),
        'misleading model': _losses(problems, misleading=True),
        'model errors (columns)': experiments.MODEL_ERRORS,
        'value errors (rows)': experiments.VALUE_ERRORS,
    }
    path = options.out / 'theory.json'
    lines = ',\n'.join(f' {json.dumps(name)}: {json.dumps(v)}' for name, v in numbers.items())
    path.write_text(f'{{\n{lines}\n}}\n', encoding='utf-8')
    _show(rows)
    return 0


def _losses(problems: experiments.Problems, misleading: bool) -> dict[str, dict[str, Any]]:
    """Bounds and measured losses of the trade-off, by its columns."""
    found = {
        name: asdict(problems.losses(*sizes, misleading=misleading))
        for name, sizes in TRADE_OFF.items()
    }
    return {
        name: {key: np.round(value, 6).tolist() for key, value in losses.items()}
        for name, losses in found.items()
    }


def tightness(shares: dict[str, Array], path: Path) -> None:
    """How much of the bounds is used: random problems, and those made by hand."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4))
    for name, values in shares.items():
        if 'printed' not in name:
            ranks = np.arange(1, len(values) + 1) / len(values)
            left.step(np.maximum(values, 1e-4), ranks, where='post', label=name)
    left.set_xscale('log')
    left.set_title('random problems')
    left.set_xlabel('loss / bound')
    left.set_ylabel('share of problems at most there')
    horizons = np.unique(np.geomspace(1, 100, 25).round().astype(int))
    forms: tuple[tuple[bounds.Form, str, str], ...] = (
        ('appendix', 'Eq. 36', '-'),
        ('main', 'Eq. 5 as printed', '--'),
    )
    for form, label, style in forms:
        for discount, width in ((0.9, 1.5), (0.99, 3.0)):
            reached = [
                experiments.worst_case_share(int(h), discount, 1e-6, 0.0, form) for h in horizons
            ]
            middle.plot(
                horizons, reached, style, linewidth=width, label=f'{label}, discount {discount:g}'
            )
    middle.set_title('worst case by hand, model error 1e-6')
    for discount in (0.9, 0.99):
        lost = [experiments.procrastination_share(int(h), discount, 1e-2) for h in horizons]
        right.plot(horizons, lost, label=f'discount {discount:g}')
    right.set_title('replanning, case by hand, exact model')
    for axes in (middle, right):
        axes.axhline(1.0, color='tab:red', linewidth=0.8)
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.set_xlabel('horizon')
        axes.set_ylabel('loss / Theorem 1')
    _finish(figure, (left, middle, right), path)


def trade_off(problems: experiments.Problems, path: Path) -> None:
    """Bounds (top) and measured losses (bottom) over the horizon."""
    figure, columns = plt.subplots(2, 3, sharex=True, figsize=(13, 7))
    for (top, bottom), (title, (model_error, value_error)) in zip(
        columns.T, TRADE_OFF.items(), strict=True
    ):
        found = problems.losses(model_error, value_error)
        misled = problems.losses(model_error, value_error, misleading=True)
        top.set_title(f'{title}: model {model_error:g}, value {value_error:g}')
        top.plot(HORIZONS, found.bound, 'o-', label='Theorem 1')
        top.plot(HORIZONS, found.printed_bound, ':', color='tab:blue', label='as printed')
        top.plot(HORIZONS, found.replanning_bound, 's-', label='replanning')
        top.axhline(found.greedy_bound, color='0.4', label='Lemma 1, no model')
        best = int(found.bound.argmin())
        top.plot(HORIZONS[best], found.bound[best], '*', color='tab:red', markersize=14)
        bottom.plot(HORIZONS, found.carried_out, 'o-', label='carried out')
        bottom.plot(HORIZONS, found.replanned, 's-', label='replanning')
        bottom.plot(
            HORIZONS, misled.carried_out, 'o:', color='tab:blue', label='carried out, misled'
        )
        bottom.plot(
            HORIZONS, misled.replanned, 's:', color='tab:orange', label='replanning, misled'
        )
        bottom.axhline(found.greedy, color='0.4', label='greedy, no model')
        bottom.set_xlabel('horizon')
        for axes in (top, bottom):
            axes.set_yscale('log')
            axes.set_xscale('log')
            axes.set_xticks(HORIZONS, [str(horizon) for horizon in HORIZONS])
            axes.minorticks_off()
    columns[0, 0].set_ylabel('bound of the loss')
    columns[1, 0].set_ylabel('measured loss, worst state')
    _finish(figure, tuple(columns.flat), path)


def best_horizon(best: dict[str, list[list[int]]], path: Path) -> None:
    """The horizon of least loss over model error and value error."""
    figure, row = plt.subplots(1, len(best), sharey=True, figsize=(13, 4.6))
    choices = (0, *HORIZONS)
    for axes, (title, grid) in zip(row, best.items(), strict=True):
        axes.imshow([[choices.index(h) for h in line] for line in grid],
                    origin='lower', cmap='viridis', vmin=0, vmax=len(choices) - 1)  # fmt: skip
        for y, line in enumerate(grid):
            for x, horizon in enumerate(line):
                dark = choices.index(horizon) < len(choices) // 2
                axes.text(x, y, str(horizon) if horizon else '-', ha='center', va='center',
                          color='w' if dark else 'k', fontsize=9)  # fmt: skip
        for set_ticks, sizes in (
            (axes.set_xticks, experiments.MODEL_ERRORS),
            (axes.set_yticks, experiments.VALUE_ERRORS),
        ):
            set_ticks(range(len(sizes)), [f'{size:g}' for size in sizes])
        axes.set_title(f'best horizon: {title}', fontsize=10)
        axes.set_xlabel('model error (total variation)')
        axes.tick_params(labelsize=8)
    row[0].set_ylabel('value error')
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _finish(figure: Any, axes: tuple[Axes, ...], path: Path) -> None:
    for each in axes:
        each.grid(alpha=0.3)
        each.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _show(rows: list[dict[str, Any]]) -> None:
    columns = {
        name: [f'{v:.3f}' if isinstance(v := row[name], float) else str(v) for row in rows]
        for name in rows[0]
    }
    tables.show('loss as a share of its bound', columns)
