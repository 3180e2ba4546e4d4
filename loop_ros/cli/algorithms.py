# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's algorithms as settings over the same parts."""

from __future__ import annotations

from typing import Any

# PETS plans by CEM without a terminal value, so it needs neither the actor nor SAC.
_NO_VALUE = {
    'planner.terminal_value': 'none',
    'planner.actor_fraction': 0.0,
    'sac.updates_per_step': 0,
}

ALGORITHMS: dict[str, dict[str, Any]] = {
    'safeloop': {'planner.algorithm': 'safe_arc'},
    'loop_sac': {'planner.algorithm': 'arc'},
    'pets': {'planner.algorithm': 'cem', **_NO_VALUE},
    'safepets': {'planner.algorithm': 'safe_cem', **_NO_VALUE},
    'sac': {'planner.algorithm': 'actor', 'ensemble.train_every': 0},
}
