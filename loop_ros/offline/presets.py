# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How to plan with what was learned from fixed data: settings over those of a profile."""

from __future__ import annotations

from typing import Any, NamedTuple

# ARC whose proposals are all the actor's, in one iteration (appendix C.3).
ARC: dict[str, Any] = {
    'planner.algorithm': 'arc',
    'planner.actor_fraction': 1.0,
    'planner.num_iterations': 1,
    'planner.mean_update': 1.0,  # with one iteration there is no earlier mean to keep
    'planner.terminal_value': 'q',
    'planner.horizon': 2,
    'planner.temperature': 1.0,
    'planner.pessimism': 0.5,
    'planner.proposal_std': 0.01,
}
# MPPI around imitations of the data, mixed with the last plan, and a value without discount.
MBOP: dict[str, Any] = {
    **ARC,
    'planner.terminal_value': 'state',
    'planner.critic': 'mean',
    'planner.horizon': 4,
    'planner.pessimism': 0.0,
    'planner.proposal_std': 0.2,
    'planner.plan_mixing': 0.2,
    'planner.discount': 1.0,
    'off_policy.discount': 1.0,
}
# A model is trained once, to convergence (Alg. 2, line 2). CrossQ's critics are SAC's only.
_LEARNING = {
    'ensemble.max_epochs': 1000,
    'ensemble.max_updates': 0,
    'off_policy.batch_norm': False,
    'off_policy.learning_rate': 1e-3,
}
ALGORITHMS: dict[str, dict[str, Any]] = {
    'crr': {**ARC, **_LEARNING, 'learning.algorithm': 'crr', 'off_policy.learning_rate': 3e-4},
    'plas': {**ARC, **_LEARNING, 'learning.algorithm': 'plas'},
    'mbop': {**MBOP, **_LEARNING, 'learning.algorithm': 'mbop'},
}


class Preset(NamedTuple):
    """A line of Table 4."""

    horizon: int
    inverse_temperature: float  # 1 / eta
    pessimism: float
    std: float

    def settings(self) -> dict[str, Any]:
        """The planner settings of this line, by name."""
        return {
            'planner.horizon': self.horizon,
            'planner.temperature': 1.0 / self.inverse_temperature,
            'planner.pessimism': self.pessimism,
            'planner.proposal_std': self.std,
        }


# Table 4, by kind of data and environment: of LOOP-CRR, of LOOP-PLAS.
TABLE_4: dict[str, tuple[Preset, Preset]] = {
    'random/hopper': (Preset(2, 10.0, 0.5, 0.4), Preset(4, 3.0, 0.5, 0.4)),
    'random/halfcheetah': (Preset(2, 0.01, 5.0, 0.4), Preset(2, 1.0, 0.0, 0.01)),
    'random/walker2d': (Preset(4, 3.0, 0.0, 0.05), Preset(10, 10.0, 0.0, 0.05)),
    'medium/hopper': (Preset(2, 3.0, 1.0, 0.01), Preset(2, 10.0, 0.5, 0.01)),
    'medium/halfcheetah': (Preset(2, 0.01, 0.0, 0.01), Preset(2, 0.01, 1.0, 0.01)),
    'medium/walker2d': (Preset(2, 0.1, 0.5, 0.05), Preset(4, 3.0, 0.0, 0.01)),
    'medium-replay/hopper': (Preset(4, 0.03, 0.5, 0.01), Preset(2, 3.0, 1.0, 0.01)),
    'medium-replay/halfcheetah': (Preset(2, 1.0, 0.5, 0.01), Preset(2, 0.03, 5.0, 0.01)),
    'medium-replay/walker2d': (Preset(4, 1.0, 0.5, 0.1), Preset(4, 0.01, 0.5, 0.01)),
    'medium-expert/hopper': (Preset(4, 0.1, 1.0, 0.05), Preset(4, 0.1, 5.0, 0.01)),
    'medium-expert/halfcheetah': (Preset(2, 0.01, 5.0, 0.01), Preset(2, 0.01, 0.5, 0.05)),
    'medium-expert/walker2d': (Preset(4, 0.01, 1.0, 0.01), Preset(2, 10.0, 1.0, 0.01)),
}


def preset(name: str, algorithm: str) -> dict[str, Any]:
    """Planner settings of a line of Table 4; ValueError where there is none."""
    if name not in TABLE_4:
        raise ValueError(f"no preset '{name}'; use one of: {', '.join(TABLE_4)}")
    if algorithm not in ('crr', 'plas'):
        raise ValueError(f"preset '{name}' is for crr and plas (Table 4), not for {algorithm}")
    return TABLE_4[name][algorithm == 'plas'].settings()
