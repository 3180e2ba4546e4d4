# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of the core: frozen, validated, documented; the only reader of profiles.

The defaults are the paper's Tables 2 and 3 with the horizon and iterations of its safe tasks
(appendix C.4). A profile is a YAML file with the sections below that overrides some of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self, cast

import yaml

from loop_ros.profiles import profile_path
from loop_ros.setting_fields import Validated, setting


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
        1.0, 'eta of the weights exp(R/eta), in units of return', 1e-6, 1e6, live=True
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
        True, 'roll the actor anew each iteration (paper) or once per plan (released code)'
    )
    initial_std: float = setting(
        0.5,
        'standard deviation around the shifted last plan, of actions in [-1, 1]',
        0,
        10,
        live=True,
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
        'which critic values the end: q1 (released code), min or mean of the twins',
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


@dataclass(frozen=True)
class EnsembleSettings(Validated):
    """The probabilistic ensemble (Table 2, appendix C.1)."""

    num_models: int = setting(5, 'networks K', 1, 100)
    num_layers: int = setting(4, 'hidden layers', 1, 20)
    width: int = setting(200, 'units of a hidden layer', 1, 10_000)
    activation: str = setting('silu', 'of the hidden layers', choices=('silu', 'relu'))
    learning_rate: float = setting(1e-3, 'Adam step size', 0, 1)
    weight_decay: float = setting(1e-5, 'L2 penalty, decoupled', 0, 1)
    batch_size: int = setting(256, 'transitions per network and step', 1, 1_000_000)
    train_every: int = setting(
        250, 'K_m: environment steps between trainings; 0: no model is learned', 0, 10_000_000
    )
    max_epochs: int = setting(100, 'largest number of passes in one training', 1, 100_000)
    max_updates: int = setting(
        0, 'gradient steps in one training, but for the last epoch; 0: no limit', 0, 10_000_000
    )
    patience: int = setting(5, 'epochs without a better holdout before stopping', 1, 10_000)
    holdout_fraction: float = setting(0.1, 'share of the data kept for early stopping', 0.01, 0.5)
    learn_variance_bounds: bool = setting(
        True, 'learn the bounds of the log-variance (PETS) or keep them (released code)'
    )


@dataclass(frozen=True)
class SacSettings(Validated):
    """Soft actor-critic (C.2); its networks, rates and batches are also CRR's and POLO's."""

    width: int = setting(256, 'units of each of the two hidden layers', 1, 10_000)
    learning_rate: float = setting(3e-4, 'Adam step size', 0, 1)
    discount: float = setting(0.99, 'gamma', 0, 1)
    tau: float = setting(0.005, 'Polyak rate of the target critics', 0, 1)
    batch_size: int = setting(256, 'transitions per update', 1, 1_000_000)
    updates_per_step: int = setting(1, 'updates per environment step that has any', 0, 1000)
    update_every: int = setting(1, 'environment steps from one with updates to the next', 1, 10_000)
    layer_norm: bool = setting(False, 'normalise the hidden layers of the critics')
    target_entropy: float = setting(-1.0, 'entropy aimed at, per action dimension', -20, 20)
    initial_entropy_coef: float = setting(1.0, 'temperature alpha at the start', 0, 1000)
    entropy_in_target: bool = setting(
        True, 'count the entropy bonus in Q (soft value) or not (value of the rewards alone)'
    )
    cost_weight: float = setting(
        0.0,
        'taken off the rewards that actor and critics learn from, for each unit of cost; the '
        "planner's own reward and constraint stay what they are",
        0,
        1e6,
    )
    bootstrap: str = setting(
        'actor',
        "whose next action the critics' target values: the actor's, or the one that was taken next "
        '(SARSA, Eq. 71)',
        choices=('actor', 'buffer'),
    )
    expansion_horizon: int = setting(
        1,
        "rewards in the critics' target: one of the buffer, the others of the actor in the "
        'ensemble (value expansion)',
        1,
        100,
        'steps',
    )
    model_fraction: float = setting(
        0.0, 'share of each batch branched from the ensemble instead of the buffer (MBPO)', 0, 1
    )
    model_rollout_length: int = setting(1, 'steps of the actor in each branch', 1, 1000, 'steps')
    model_penalty: float = setting(
        0.0,
        'lambda: taken off the rewards of branches for each unit of the largest predicted standard '
        'deviation (MOPO)',
        0,
        1e6,
    )


@dataclass(frozen=True)
class CrrSettings(Validated):
    """Critic regularised regression (Wang et al. 2020)."""

    weights: str = setting(
        'exp',
        'of the actions to imitate: exp: exp(advantage / beta); binary: 1 where it is positive',
        choices=('exp', 'binary'),
    )
    beta: float = setting(1.0, 'temperature of the weights, in units of return', 1e-6, 1e6)
    max_weight: float = setting(20.0, 'largest weight', 1, 1e9)
    num_samples: int = setting(4, "m: the actor's actions that an advantage is over", 1, 1000)


@dataclass(frozen=True)
class PlasSettings(Validated):
    """Policy in the latent action space (Zhou et al. 2020); critics learn at SAC's rate."""

    vae_width: int = setting(750, 'units of each of the two hidden layers of the VAE', 1, 10_000)
    latent_factor: int = setting(2, 'latent dimensions for each of the action', 1, 100)
    vae_learning_rate: float = setting(1e-4, 'Adam step size of the VAE', 0, 1)
    actor_learning_rate: float = setting(1e-4, 'Adam step size of the latent policy', 0, 1)
    kl_weight: float = setting(0.5, "share of the latent code's divergence in the loss", 0, 1000)
    vae_updates: int = setting(
        100_000, 'updates of the VAE before policy and critics (paper 500,000)', 0, 1_000_000_000
    )
    min_weight: float = setting(
        0.75, 'lambda: weight of the lower target critic, the rest is of the higher one', 0, 1
    )


@dataclass(frozen=True)
class MbopSettings(Validated):
    """Model-based offline planning (Argenson and Dulac-Arnold 2021)."""

    value_horizon: int = setting(
        20, 'rewards that its value sums up, beyond the planning horizon', 1, 10_000, 'steps'
    )


@dataclass(frozen=True)
class LearningSettings(Validated):
    """Algorithm, experience and schedule (Alg. 1)."""

    algorithm: str = setting(
        'sac',
        'what trains actor and critics: sac; crr: critic regularised regression; polo: plans that '
        'teach a value of states, and no actor; offline: plas, a policy in the latent space of the '
        "data's actions; mbop, imitation and a value of the data",
        choices=('sac', 'crr', 'polo', 'plas', 'mbop'),
    )
    random_steps: int = setting(
        1000, 'steps of uniform random actions at the start', 20, 10_000_000
    )
    buffer_size: int = setting(1_000_000, 'transitions kept', 1, 100_000_000)


@dataclass(frozen=True)
class Settings:
    """All of it."""

    planner: PlannerSettings = field(default_factory=PlannerSettings)
    ensemble: EnsembleSettings = field(default_factory=EnsembleSettings)
    sac: SacSettings = field(default_factory=SacSettings)
    crr: CrrSettings = field(default_factory=CrrSettings)
    plas: PlasSettings = field(default_factory=PlasSettings)
    mbop: MbopSettings = field(default_factory=MbopSettings)
    learning: LearningSettings = field(default_factory=LearningSettings)

    def __post_init__(self) -> None:
        """ValueError where settings that are fine alone cannot be had together."""
        sac, algorithm = self.sac, self.learning.algorithm
        if algorithm != 'sac' and (sac.bootstrap == 'buffer' or sac.expansion_horizon > 1):
            raise ValueError(
                f'learning.algorithm {algorithm} has a target of its own: set sac.bootstrap to '
                'actor and sac.expansion_horizon to 1'
            )
        if sac.bootstrap == 'buffer' and (sac.model_fraction > 0 or sac.expansion_horizon > 1):
            raise ValueError(
                'sac.bootstrap buffer knows the next action of stored transitions alone: set '
                'sac.model_fraction to 0 and sac.expansion_horizon to 1'
            )
        if algorithm == 'polo' and self.planner.algorithm == 'actor':
            raise ValueError('learning.algorithm polo has no actor: set planner.algorithm to cem')

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = 'settings') -> Self:
        """Sections of values; ValueError names an unknown section, setting or a bad value."""
        sections = {item.name: item.default_factory for item in dataclasses.fields(cls)}
        built: dict[str, Any] = {}
        if not isinstance(values, dict):
            raise ValueError(f'{source}: not a mapping of sections')
        for name, entries in values.items():
            if name not in sections:
                raise ValueError(f"{source}: unknown section '{name}'; use {', '.join(sections)}")
            if not isinstance(entries or {}, dict):
                raise ValueError(f"{source}: section '{name}' is not a mapping of settings")
            section = cast(Any, sections[name])
            known = {item.name for item in dataclasses.fields(section)}
            for entry in entries or {}:
                if entry not in known:
                    raise ValueError(f"{source}: unknown setting '{name}.{entry}'")
            try:
                built[name] = section(**(entries or {}))
            except ValueError as error:
                raise ValueError(f'{source}: {name}.{error}') from None
        return cls(**built)

    @classmethod
    def load(cls, profile: str) -> Self:
        """A shipped profile by name, or a YAML file by path; ValueError where it is not usable."""
        path = profile_path(profile)
        try:
            values = yaml.safe_load(path.read_text(encoding='utf-8'))
        except yaml.YAMLError as error:
            raise ValueError(f'{path}: not YAML: {error}') from None
        return cls.from_dict(values or {}, str(path))

    def trained_by(self, saved: Settings) -> Self:
        """A copy with the networks of `saved` and the algorithm that trained them."""
        learning = dataclasses.replace(self.learning, algorithm=saved.learning.algorithm)
        networks = {
            name: getattr(saved, name) for name in ('ensemble', 'sac', 'crr', 'plas', 'mbop')
        }
        return dataclasses.replace(self, **networks, learning=learning)

    def to_dict(self) -> dict[str, Any]:
        """Sections of plain values, as YAML and JSON hold them."""
        return dataclasses.asdict(self)

    def replace(self, overrides: dict[str, Any]) -> Self:
        """A copy with {'planner.d0': 0.5, ...} applied and checked."""
        values = self.to_dict()
        for name, value in overrides.items():
            section, _, entry = name.partition('.')
            values.setdefault(section, {})[entry] = value
        return self.from_dict(values)
