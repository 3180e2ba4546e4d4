# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the planner: ARC, safeARC and CEM."""

from __future__ import annotations

from dataclasses import dataclass

from loop_ros.settings.fields import Validated, setting


@dataclass(frozen=True)
class PlannerSettings(Validated):
    """ARC, safeARC, CEM (Alg. 3 and 4, Table 3); `live` ones may change while the robot drives."""

    algorithm: str = setting(
        'safe_arc',
        'optimizer of the action sequence',
        choices=('safe_arc', 'arc', 'safe_cem', 'cem', 'actor'),
        live=True,
    )
    explore: str = setting(
        'planner',
        'who acts while exploring: the planner, or the actor by its own noise (SAC-evalLOOP)',
        choices=('planner', 'actor'),
        live=True,
    )
    actor_episodes: float = setting(
        0.0,
        'share of the episodes that the actor drives while exploring, by its own noise and without '
        'd0: the critics value its actions, which nobody else tries',
        0,
        1,
        live=True,
    )
    d0: float = setting(0.2, 'safety threshold: largest predicted cost allowed', 0, 1e6, live=True)
    horizon: int = setting(8, 'planning horizon H', 1, 200, 'steps')
    num_samples: int = setting(100, 'action sequences per iteration N', 2, 100_000)
    num_particles: int = setting(4, 'rollouts of each sequence in each model P', 1, 1000)
    num_iterations: int = setting(8, 'iterations of importance sampling', 1, 100, live=True)
    time_budget: float = setting(
        0.0,
        'time that a plan may take: its iterations end in time; 0: all of them (in real time: what '
        'the control period allows)',
        0,
        1000,
        's',
        live=True,
    )
    temperature: float = setting(
        1.0, 'eta of the weights exp(R/eta), in units of temperature_unit', 1e-6, 1e6, live=True
    )
    temperature_unit: str = setting(
        'return',
        'what eta is measured in: return (paper); lead, what the best sequence is ahead of the '
        'median one by, so that one number fits rewards of any scale',
        choices=('return', 'lead'),
        live=True,
    )
    actor_fraction: float = setting(
        0.05, 'beta: share of the sequences that the actor proposes', 0, 1, live=True
    )
    actor_noise: float = setting(
        1.0, "scale of the actor's own noise in its proposals (0: its mean)", 0, 10, live=True
    )
    proposal_std: float = setting(
        0.0,
        "noise on the actor's mean action in its proposals, of actions in [-1, 1], instead of its "
        'own (sigma of Table 4); 0: its own',
        0,
        10,
        live=True,
    )
    plan_mixing: float = setting(
        0.0,
        "share of the shifted last plan in the actor's proposals (beta of MBOP)",
        0,
        1,
        live=True,
    )
    resample_actor: bool = setting(
        True, 'roll the actor again in each iteration (paper) or once per plan (released code)'
    )
    initial_std: float = setting(
        0.5,
        'standard deviation around the shifted last plan, of actions in [-1, 1]',
        0,
        10,
        live=True,
    )
    sample_correlation: float = setting(
        0.0,
        'of the deviation from the last plan at one step with that at the step before (coloured '
        'samples); many steps ahead, white ones cancel out',
        0,
        0.999,
    )
    truncate_samples: bool = setting(
        False, 'truncate the Gaussian at 2 sigma (released code) instead of plain samples (paper)'
    )
    mean_update: float = setting(
        0.1, 'alpha: share of the new mean (paper 0.1, released code 1)', 0, 1, live=True
    )
    variance_update: float = setting(
        0.1, 'alpha: share of the new variance (paper 0.1, released code 0.9)', 0, 1, live=True
    )
    min_safe: int = setting(
        10, 'm: safe sequences needed to maximise return', 1, 100_000, live=True
    )
    elite_fraction: float = setting(0.1, 'share of sequences that CEM keeps', 0, 1, live=True)
    discount: float = setting(
        0.99, 'discount inside the horizon (paper gamma; released code 1)', 0, 1, live=True
    )
    terminal_value: str = setting(
        'q',
        "q: Q(s_H, a_H) after H-1 rewards (Alg. 3); v: the actor's value of s_H+1 after H rewards "
        '(Eq. 3); state: that of critics that see no action (POLO); none: H rewards (PETS)',
        choices=('q', 'v', 'state', 'none'),
    )
    critic: str = setting(
        'q1',
        'which critic values the end: q1 (released code), min or mean of all',
        choices=('q1', 'min', 'mean'),
    )
    pessimism: float = setting(
        0.0,
        'beta_pess: standard deviations over models taken off the return (Eq. 9)',
        0,
        100,
        live=True,
    )
    cost_source: str = setting(
        'known',
        "known: the task's cost of predicted states; learned: the ensemble's cost head",
        choices=('known', 'learned'),
    )
    rollout_dtype: str = setting(
        'auto',
        "precision of the models' products; auto: bfloat16 where the device multiplies it natively",
        choices=('auto', 'float32', 'bfloat16'),
    )
    rollout_threads: int = setting(
        0, 'CPU threads that share the rollouts of a plan; 0: as many as cores', 0, 1024
    )
    propagate_noise: bool = setting(
        True, 'particles sample the aleatoric noise (else they follow the mean)'
    )
    exploration_std: float = setting(
        0.0,
        'noise added to the executed action while exploring, of actions in [-1, 1]',
        0,
        1,
        live=True,
    )
    plan_exploration: float = setting(
        0.0,
        "the same in standard deviations of the plan's own candidates, which shrink as the models "
        'and the value come to agree on one action (1: as the released code draws one of them)',
        0,
        10,
        live=True,
    )

    @property
    def constrained(self) -> bool:
        """Whether plans have to keep their cost under d0."""
        return self.algorithm.startswith('safe')
