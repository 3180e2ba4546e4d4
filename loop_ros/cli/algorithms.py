# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's algorithms as settings over the same parts."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple


class Algorithm(NamedTuple):
    """What an algorithm is, and what of a profile it replaces."""

    description: str
    section: str  # of the paper
    settings: dict[str, Any]


_CEM = {'planner.algorithm': 'cem', 'planner.actor_fraction': 0.0}
# PETS plans by CEM without a terminal value, so it needs neither the actor nor SAC.
_NO_VALUE = {
    'planner.terminal_value': 'none',
    'planner.actor_fraction': 0.0,
    'off_policy.updates_per_step': 0,
}
# What a profile may have the critics learn from a model, left out.
_NO_BRANCHES = {'model_rollouts.fraction': 0.0}
# CrossQ's critics are SAC's only; what a profile has beside them (C.2).
_SLOW_COPIES = {'off_policy.batch_norm': False, 'off_policy.learning_rate': 3e-4}
# Branches of one step from states of the buffer, and 20 updates a step (MBPO; Table 8).
_BRANCHES = {
    'model_rollouts.fraction': 0.95,
    'model_rollouts.length': 1,
    'off_policy.updates_per_step': 20,
}

TABLE = {
    'loop_sac': Algorithm(
        'LOOP over SAC: ARC explores and is evaluated', '6.1', {'planner.algorithm': 'arc'}
    ),
    'safeloop': Algorithm(
        'LOOP over SAC with a safe planner: safeARC', '6.3', {'planner.algorithm': 'safe_arc'}
    ),
    'sac': Algorithm(
        'SAC only, without a model',
        '6.1',
        {'planner.algorithm': 'actor', 'ensemble.train_every': 0, **_NO_BRANCHES},
    ),
    'sac_evalloop': Algorithm(
        'SAC explores, ARC is evaluated',
        'D.6',
        {'planner.algorithm': 'arc', 'planner.explore': 'actor'},
    ),
    'loop_cem': Algorithm('LOOP over SAC without ARC: CEM, no proposals of the actor', '6.1', _CEM),
    'loop_sarsa': Algorithm(
        "LOOP over a value of the buffer's own actions (Eq. 71)",
        '6.1',
        {
            'planner.algorithm': 'arc',
            'planner.terminal_value': 'q',  # of the planned action: v would ask the actor
            'sac.bootstrap': 'buffer',
            **_NO_BRANCHES,
        },
    ),
    'sac_ve': Algorithm(
        'SAC only, with model value expansion in its target (MBVE)',
        '6.1',
        {'planner.algorithm': 'actor', 'model_rollouts.expansion_horizon': 3, **_NO_BRANCHES},
    ),
    'pets': Algorithm(
        "PETS-restricted: CEM over LOOP's horizon, no value", '6.1', {**_CEM, **_NO_VALUE}
    ),
    'safepets': Algorithm(
        'PETS with the safe cross-entropy method',
        '6.3',
        {'planner.algorithm': 'safe_cem', **_NO_VALUE},
    ),
    'mbpo': Algorithm(
        'SAC only, on model rollouts', '6.1', {'planner.algorithm': 'actor', **_BRANCHES}
    ),
    'polo': Algorithm(
        'CEM over a value that plans in the model teach (POLO, modified)',
        'D.2',
        {
            **_CEM,
            **_NO_BRANCHES,
            **_SLOW_COPIES,
            'planner.terminal_value': 'state',
            'planner.critic': 'mean',
            'learning.algorithm': 'polo',
            # Each state of a batch costs a plan: few, and not at every step.
            'off_policy.batch_size': 16,
            'off_policy.update_every': 4,
            'off_policy.updates_per_step': 1,
        },
    ),
    'loop_mopo': Algorithm(
        'LOOP over MOPO, online: rewards of the model less its uncertainty',
        'D.7',
        {
            'planner.algorithm': 'arc',
            'planner.horizon': 3,
            **_BRANCHES,
            'model_rollouts.penalty': 1.0,
            'ensemble.activation': 'relu',
        },
    ),
    'loop_crr': Algorithm(
        'LOOP over critic regularised regression, online',
        'D.7',
        {
            'planner.algorithm': 'arc',
            'learning.algorithm': 'crr',
            'off_policy.updates_per_step': 20,
            **_NO_BRANCHES,
            **_SLOW_COPIES,
        },
    ),
}
ALGORITHMS: dict[str, dict[str, Any]] = {name: entry.settings for name, entry in TABLE.items()}

# Baselines that OmniSafe runs, by its names for them, and what nobody runs here.
OMNISAFE = {'cpo': 'CPO', 'ppo_lagrangian': 'PPOLag'}
GAPS = {
    'lbpo': 'OmniSafe has none, and the code of its authors (https://github.com/hari-sikchi/LBPO) '
    'starts from safe policies for a Safety Gym of 2019 that fit no task here; see docs/omnisafe.md'
}


def listing() -> str:
    """Every algorithm on a line, for --help."""
    lines = [f'{name:<15} {entry.description} ({entry.section})' for name, entry in TABLE.items()]
    lines += [f'{name:<15} by OmniSafe, in an environment of its own (6.3)' for name in OMNISAFE]
    lines += [f'{name:<15} not here: {reason}' for name, reason in GAPS.items()]
    return 'algorithms, with sections of the paper:\n' + textwrap.indent('\n'.join(lines), '  ')
