# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of earlier releases under their present names."""

from __future__ import annotations

import warnings
from typing import Any

# Until 0.1, `sac` held the settings of every off-policy algorithm and of model rollouts.
MOVED = {
    **{
        f'sac.{name}': f'off_policy.{name}'
        for name in (
            'width', 'layer_norm', 'learning_rate', 'discount', 'tau', 'batch_size',
            'updates_per_step', 'update_every',
        )
    },
    'sac.model_fraction': 'model_rollouts.fraction',
    'sac.model_rollout_length': 'model_rollouts.length',
    'sac.model_penalty': 'model_rollouts.penalty',
    'sac.expansion_horizon': 'model_rollouts.expansion_horizon',
}  # fmt: skip


def new_name(name: str, source: str) -> str:
    """The present name of a setting, with a warning that names it where it was another one."""
    if name not in MOVED:
        return name
    warnings.warn(f'{source}: {name} is {MOVED[name]} now', FutureWarning, stacklevel=3)
    return MOVED[name]


def migrated(values: dict[str, Any], source: str) -> dict[str, Any]:
    """Sections of settings under their present names; the values are not looked at."""
    found: dict[str, Any] = {}
    for section, entries in values.items():
        if not isinstance(entries, dict):
            found.setdefault(section, entries)
            continue
        found.setdefault(section, {})
        for entry, value in entries.items():
            name = new_name(f'{section}.{entry}', source)
            into, _, new = name.rpartition('.')
            target = found.setdefault(into, {})
            if isinstance(target, dict):
                target[new] = value
    return found
