# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a plan's cost grows with N, K, P, H and width, and the largest N that holds 50 Hz."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from loop_ros.bench import planner
from loop_ros.bench.report import Row, plain
from loop_ros.bench.timing import percentiles, take_turns
from loop_ros.bench.workload import Workload, plan_flop, workloads

TITLE = 'A plan by size; the largest N that holds 50 Hz'
PERIOD_MS = 20.0
LARGEST_N = 100_000  # of the setting
CLOSE = 0.05  # share of N at which the search for the largest one ends
# Each is varied by itself around the paper's values on the drift car.
VARIED = {
    'N': ('planner.num_samples', (25, 50, 100, 200, 400)),
    'K': ('ensemble.num_models', (1, 2, 5, 10)),
    'P': ('planner.num_particles', (1, 2, 4, 8, 16)),
    'H': ('planner.horizon', (2, 4, 8, 16, 32)),
    'width': ('ensemble.width', (50, 100, 200, 400)),
}


def run(options: argparse.Namespace) -> list[Row]:
    """Rows of the largest N; scaling.json and scaling.png in `out` have the rest.

    Options: device, dtype, num_threads, plans (a point), out.
    """
    device = planner.prepare(options)
    options.out.mkdir(parents=True, exist_ok=True)
    paper, *others = (planner.configured(each, options.dtype) for each in workloads())
    points = [
        point(paper, name, value, device, options.plans)
        for name, (_, values) in VARIED.items()
        for value in values
    ]
    rows = [largest(workload, device, options.plans) for workload in (paper, *others)]
    threads = torch.get_num_threads()
    data = {'threads': threads, 'points': plain(points), 'largest': plain(rows)}
    text = json.dumps(data, indent=2) + '\n'
    (options.out / 'scaling.json').write_text(text, encoding='utf-8')
    plot(points, f'{device}, {threads} threads', options.out / 'scaling.png')
    return rows


def point(paper: Workload, name: str, value: int, device: torch.device, plans: int) -> Row:
    """The time of a plan with one size changed."""
    workload = paper.replace({VARIED[name][0]: value})
    p50, p99 = percentiles(plan_times(workload, device, plans, f'{name} = {value}'))
    return {
        'varied': name,
        'value': value,
        'p50_ms': p50,
        'p99_ms': p99,
        'gflop': 1e-9 * plan_flop(workload),
    }


def plan_times(workload: Workload, device: torch.device, plans: int, label: str) -> np.ndarray:
    """Milliseconds of so many plans."""
    planning = workload.planner(workload.networks(device), device)
    states = iter(torch.randn(plans + 10, workload.state_dim, device=device))
    settings = workload.settings.planner
    plan = planner.as_nodes_do(lambda: planning.plan(next(states), settings))
    return take_turns({'plan': plan}, plans, device, label)['plan']


def largest(workload: Workload, device: torch.device, plans: int) -> Row:
    """The row of the largest N whose p99 holds the period."""

    def p99(num: int) -> float:
        sized = workload.replace({'planner.num_samples': num})
        return percentiles(plan_times(sized, device, plans, f'{workload.profile}, N = {num}'))[1]

    num, time = search(p99, PERIOD_MS, LARGEST_N)
    return {
        'size': workload.size,
        'profile': workload.profile,
        'device': str(device),
        'num_threads': torch.get_num_threads(),
        'own_N': workload.settings.planner.num_samples,
        'largest_N_at_50_hz': num,
        'p99_ms': time,
    }


def search(cost: Callable[[int], float], limit: float, top: int) -> tuple[int, float]:
    """The largest number up to `top`, to within 5%, whose cost holds the limit, and that cost.

    The cost grows with the number; (0, NaN) where not even 2 hold the limit.
    """
    held, held_cost, failed = 0, float('nan'), 2
    while failed <= top:  # doubling, until one fails
        found = cost(failed)
        if found > limit:
            break
        held, held_cost = failed, found
        if held == top:
            return held, held_cost
        failed = min(2 * failed, top)
    while held and failed - held > max(1, CLOSE * held):
        middle = (held + failed) // 2
        found = cost(middle)
        if found > limit:
            failed = middle
        else:
            held, held_cost = middle, found
    return held, held_cost


def plot(points: list[Row], title: str, path: Path) -> None:
    """Median and 99th percentile over each size, on logarithmic axes."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(VARIED), figsize=(3 * len(VARIED), 3.2), sharey=True)
    for axis, (name, (setting, _)) in zip(axes, VARIED.items(), strict=True):
        rows = [row for row in points if row['varied'] == name]
        values = [row['value'] for row in rows]
        for figure_name, style in (('p50_ms', 'o-'), ('p99_ms', 'x--')):
            axis.loglog(values, [row[figure_name] for row in rows], style, label=figure_name[:3])
        axis.axhline(PERIOD_MS, color='tab:red', linewidth=0.8)
        axis.set_xticks(values, [str(value) for value in values], minor=False)
        axis.minorticks_off()
        axis.set_xlabel(f'{name} ({setting})')
        axis.grid(alpha=0.3)
    ticks = (10, 20, 50, 100, 200, 500, 1000, 2000)
    axes[0].set_yticks(ticks, [str(tick) for tick in ticks])
    axes[0].set_ylabel('time of a plan [ms]')
    axes[0].legend()
    figure.suptitle(f'paper safeARC on the drift car; {title}; red: 50 Hz')
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    Console(stderr=True).print(f'written: {path}')
