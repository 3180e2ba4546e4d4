# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Interquartile mean, bootstrap interval, and curves of several seeds on one grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.types import Array

Statistic = Callable[[Any], Any]  # of an array, over its last axis

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
_ROUND_WIDTHS = (1.0, 2.0, 2.5, 5.0, 10.0)


def mean(values: Array) -> Array:
    """The mean [...] of values [..., N]."""
    return np.mean(values, axis=-1)


def interquartile_mean(values: Array) -> Array:
    """The mean [...] of the middle half of values [..., N] by size: rliable's IQM."""
    cut = values.shape[-1] // 4
    ordered = np.sort(values, axis=-1)
    return np.mean(ordered[..., cut : values.shape[-1] - cut], axis=-1)


def interval(seeds: list[Array], statistic: Statistic) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of a statistic of the values of several seeds.

    Seeds are drawn with replacement, then as many values as a seed has from each seed drawn:
    episodes of a seed share what it learned, so to draw among all episodes would claim too much.
    With one seed only its episodes are drawn. None where there is but one number.
    """
    lengths = np.array([len(values) for values in seeds])
    longest = int(lengths.max())
    if len(seeds) * longest < 2:
        return None
    table = np.zeros((len(seeds), longest))
    for row, values in zip(table, seeds, strict=True):
        row[: len(values)] = values
    random = np.random.default_rng(0)  # the same folders make the same page
    drawn = random.integers(len(seeds), size=(NUM_RESAMPLES, len(seeds), 1))
    episodes = random.random((NUM_RESAMPLES, len(seeds), longest)) * lengths[drawn]
    resamples = table[drawn, episodes.astype(int)].reshape(NUM_RESAMPLES, -1)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(statistic(resamples), (tail, 100.0 - tail))
    return float(low), float(high)


def bin_width(last_step: float, num_bins: int = 60) -> float:
    """A round number of steps, so that about `num_bins` of them reach the last step."""
    raw = max(1.0, last_step / num_bins)
    magnitude = 10.0 ** np.floor(np.log10(raw))
    return float(next(w for r in _ROUND_WIDTHS if (w := r * magnitude) >= raw * (1 - 1e-9)))


def binned(steps: Array, values: Array, width: float, num_bins: int) -> Array:
    """Means [num_bins] of the values [E] in bins ((k-1) width, k width] of their steps [E].

    An empty bin between others is interpolated; one before the first or after the last is NaN.
    """
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    index = np.maximum(np.ceil(steps / width).astype(int) - 1, 0)
    counts = np.bincount(index, minlength=num_bins)
    filled = np.flatnonzero(counts)
    if not len(filled):
        return np.full(num_bins, np.nan)
    means = np.bincount(index, weights=values, minlength=num_bins)[filled] / counts[filled]
    return np.interp(np.arange(num_bins), filled, means, left=np.nan, right=np.nan)


def at_step(steps: Array, values: Array, step: float, window: int = 10) -> float:
    """The mean of the last `window` values [E] at steps up to `step`; NaN where there is none."""
    before = values[steps <= step][-window:]
    return float(np.mean(before)) if len(before) else float('nan')
