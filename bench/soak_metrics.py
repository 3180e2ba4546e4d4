# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the samples of a soak say: slopes of memory, counts, and a picture."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loop_ros.bench.report import Row

REPLAY_BYTES = 4 * (2 * 6 + 2 + 3)  # of a transition of the drift car in the replay buffer
QUEUE_BYTES = 890  # of one that waits to be learned, as objects of Python (measured)
WARM_UP = 300.0  # s, at most a fifth of the time: imports, first plans, first trainings
# What of the nodes' diagnostics is kept, each in the rows of its process.
COUNTS = (
    'plans', 'missed periods', 'dropped states', 'weights version',
    'learned', 'backlog', 'gaps', 'missing', 'duplicates', 'refused',
    'episode', 'dropped commands', 'refused commands', 'steps without command',
)  # fmt: skip
Sample = dict[str, str]
Array = NDArray[np.float64]


def metrics(samples: list[Sample]) -> list[Row]:
    """A row for each process that was seen; one that came again has two.

    `half` is the second half of the time after the warm-up; there also without the transitions
    in replay buffer and backlog, as long as the buffer is not full.
    """
    if not samples:
        raise ValueError('no samples: no node of the launch was seen')
    return [_row(group) for group in _groups(samples).values()]


def slope(hours: Array, values: Array) -> tuple[float, float]:
    """Least-squares slope per hour and its standard error; NaN of fewer than four samples.

    The error counts a sample that resembles the one before (residuals correlated at lag one) as
    less than a whole one.
    """
    if len(hours) < 4:
        return math.nan, math.nan
    centred = hours - hours.mean()
    spread = float(centred @ centred)
    found = float(centred @ values) / spread
    residuals = values - values.mean() - found * centred
    power = float(residuals @ residuals)
    error = math.sqrt(power / (len(hours) - 2) / spread)
    alike = float(residuals[1:] @ residuals[:-1]) / power if power > 0 else 0.0
    alike = min(max(alike, 0.0), 0.99)
    return found, error * math.sqrt((1 + alike) / (1 - alike))


def _groups(samples: list[Sample]) -> dict[tuple[str, str], list[Sample]]:
    """Samples of each process, in order of time."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for each in samples:
        groups[each['process'], each['pid']].append(each)
    return groups


def _row(group: list[Sample]) -> Row:
    hours, memory = _column(group, 'time_s') / 3600, _column(group, 'private_kib') / 1024
    warm = _warm(hours)
    half = hours >= (hours[warm][0] + hours[-1]) / 2
    rest = memory - _kept(group)
    whole, second = slope(hours[warm], memory[warm]), slope(hours[half], memory[half])
    without = slope(hours[half], rest[half])
    return {
        'process': group[0]['process'],
        'minutes': 60 * (hours[-1] - hours[0]),
        'warm_MiB': memory[warm][0],
        'last_MiB': memory[-1],
        'most_MiB': memory.max(),
        'MiB_per_h': whole[0],
        'error': whole[1],
        'half_MiB_per_h': second[0],
        'half_error': second[1],
        'half_without_transitions': without[0],
        'threads': _first_last_most(group, 'threads', warm),
        'descriptors': _first_last_most(group, 'descriptors', warm),
        'counts': _counts(group),
    }


def _warm(hours: Array) -> NDArray[np.bool_]:
    """Which samples come after the warm-up."""
    start: float = hours[0]
    return hours >= start + min(WARM_UP / 3600, 0.2 * (hours[-1] - start))


def _kept(group: list[Sample]) -> Array:
    """MiB of the transitions that a learner holds by design; 0 of others, NaN until it tells."""
    if group[0]['process'] != 'learner':
        return np.zeros(len(group))
    held = REPLAY_BYTES * _column(group, 'learned') + QUEUE_BYTES * _column(group, 'backlog')
    return held / 2**20


def _first_last_most(group: list[Sample], name: str, warm: NDArray[np.bool_]) -> str:
    values = _column(group, name)[warm].astype(int).tolist()
    return f'{values[0]} / {values[-1]} / {max(values)}'


def _counts(group: list[Sample]) -> str:
    """The last metrics of the diagnostics, and the mean of the returns."""
    words = [f'{name} {group[-1][name]}' for name in COUNTS if group[-1][name]]
    returns = _column(group, 'mean_return')
    if np.isfinite(returns).any():
        words.append(f'mean return {np.nanmean(returns):.2f}')
    return ', '.join(words)


def _column(group: list[Sample], name: str) -> Array:
    """The mean of values; NaN where there are none."""
    return np.array([float(each[name] or 'nan') for each in group])


def plot(samples: list[Sample], path: Path) -> None:
    """Private memory over time, a line for each process."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4))
    for (process, _), group in _groups(samples).items():
        hours, memory = _column(group, 'time_s') / 3600, _column(group, 'private_kib') / 1024
        axes.plot(60 * hours, memory, label=process)
    axes.set_ylim(bottom=0)
    axes.set_xlabel('time [min]')
    axes.set_ylabel('private memory [MiB]')
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
