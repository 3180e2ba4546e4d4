# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How planning goes, for diagnostics."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from loop_ros.types import Plan

KEPT = 1000  # plans


class PlanStatistics:
    """Counts since the start, and metrics of the last plans."""

    def __init__(self) -> None:
        self.plans = 0
        self.missed = 0  # control periods without a fresh plan in time
        self._times: deque[float] = deque(maxlen=KEPT)  # s
        self._iterations: deque[int] = deque(maxlen=KEPT)
        self._reported = time.monotonic(), 0

    def add(self, plan: Plan) -> None:
        """Count a plan."""
        self.plans += 1
        self._times.append(plan.plan_s)
        self._iterations.append(plan.iterations)

    def plan_s(self) -> float:
        """What a plan takes (s), the median; infinite before there is one."""
        return float(np.median(self._times)) if self._times else np.inf

    def report(self) -> dict[str, float]:
        """All by name; the rate is that since the last report."""
        now, plans = time.monotonic(), self.plans
        rate = (plans - self._reported[1]) / (now - self._reported[0])
        self._reported = now, plans
        p50, p99 = np.percentile(list(self._times) or [np.nan], (50, 99)).tolist()
        return {
            'plan rate (Hz)': rate,
            'plan_s p50': p50,
            'plan_s p99': p99,
            'iterations (mean)': float(np.mean(self._iterations or [np.nan])),
            'plans': plans,
            'missed periods': self.missed,
        }
