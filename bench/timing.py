# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times of things that take turns, so that a noisy machine disturbs all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from loop_ros.bench.machine import synchronize
from loop_ros.progress import track

WARM_UP = 3  # untimed runs of each


def take_turns(
    runs: dict[str, Callable[[], object]], rounds: int, device: torch.device, label: str
) -> dict[str, NDArray[np.float64]]:
    """Milliseconds of each run [rounds], by name; every round runs each of them once."""
    for run in runs.values():
        for _ in range(WARM_UP):
            run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(rounds), label):
        for name, run in runs.items():
            synchronize(device)
            start = time.perf_counter()
            run()
            synchronize(device)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(values) for name, values in times.items()}


def percentiles(times: NDArray[np.float64]) -> tuple[float, float]:
    """Median and 99th percentile; NaN of nothing."""
    if not len(times):
        return float('nan'), float('nan')
    p50, p99 = np.percentile(times, (50, 99)).tolist()
    return p50, p99
