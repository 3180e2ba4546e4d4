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

# Baselines that OmniSafe runs, by its names for them, and what nobody runs here.
OMNISAFE = {'cpo': 'CPO', 'ppo_lagrangian': 'PPOLag'}
GAPS = {
    'lbpo': 'OmniSafe has none, and the code of its authors (https://github.com/hari-sikchi/LBPO) '
    'starts from safe policies for a Safety Gym of 2019 that fit no task here; see docs/omnisafe.md'
}
