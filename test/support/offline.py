# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny fixed data of the drift car, and trainings on it."""

from __future__ import annotations

import functools
from typing import Any

import tiny

from loop_ros.agent import Agent
from loop_ros.offline.data import OfflineData
from loop_ros.offline.presets import ALGORITHMS
from loop_ros.offline.training import OfflineTraining
from loop_ros.settings import Settings
from loop_ros.types import Rows


@functools.cache
def data(count: int = 250) -> OfflineData:
    """Some episodes of random driving."""
    return OfflineData.from_rows([Rows.of(tiny.transitions(count))], tiny.TASK)


def settings(algorithm: str, **changes: Any) -> Settings:
    small = {
        **tiny.OVERRIDES, **ALGORITHMS[algorithm], 'ensemble.max_epochs': 2,
        'plas.vae_width': 8, 'plas.vae_updates': 4, 'mbop.value_horizon': 5,
    }  # fmt: skip
    changed = {name.replace('__', '.'): value for name, value in changes.items()}
    return Settings().replace({**small, **changed})


def training(algorithm: str, seed: int = 0, **changes: Any) -> OfflineTraining:
    """Before its first step."""
    return OfflineTraining(Agent(tiny.TASK, settings(algorithm, **changes), seed=seed), data())
