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


def migrated(values: dict[str, Any], source: str) -> dict[str, Any]:
    """Sections of settings under their present names, which win where both are given.

    One warning names all that had others; the values are not looked at.
    """
    old = values.get('sac')
    moved = [name for name in MOVED if isinstance(old, dict) and name.partition('.')[2] in old]
    if not moved:
        return values
    names = ', '.join(f'{name} is {MOVED[name]}' for name in moved)
    warnings.warn(f'{source}: settings have new names: {names}', FutureWarning, stacklevel=3)
    found = {name: dict(part) if isinstance(part, dict) else part for name, part in values.items()}
    for name in moved:
        section, _, entry = MOVED[name].partition('.')
        value = found['sac'].pop(name.partition('.')[2])
        into = found.setdefault(section, {})
        if isinstance(into, dict):
            into.setdefault(entry, value)
    return found
