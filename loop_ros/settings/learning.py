# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of what learns: the ensemble, the algorithms of actor and critics, the schedule."""

from __future__ import annotations

from dataclasses import dataclass

from loop_ros.settings.fields import Validated, setting


@dataclass(frozen=True)
class EnsembleSettings(Validated):
    """The probabilistic ensemble (Table 2, appendix C.1)."""

    num_models: int = setting(5, 'networks K', 1, 100)
    num_layers: int = setting(4, 'hidden layers', 1, 20)
    width: int = setting(200, 'units of a hidden layer', 1, 10_000)
    activation: str = setting('silu', 'of the hidden layers', choices=('silu', 'relu'))
    learning_rate: float = setting(1e-3, 'Adam step size', 0, 1)
    weight_decay: float = setting(1e-5, 'L2 penalty, decoupled', 0, 1)
    beta_nll: float = setting(
        0.0,
        'power of the predicted variance that weighs an error in the loss (Seitzer et al. 2022): '
        'without it a model neglects what it predicts badly',
        0,
        1,
    )
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
    cost_head: str = setting(
        'regression',
        'how a cost is learned: regression, by its squared error; classifier, for costs of 0 and '
        '1, as a probability that counts where it is above one half',
        choices=('regression', 'classifier'),
    )
    learn_variance_bounds: bool = setting(
        True, 'learn the bounds of the log-variance (PETS) or keep them (released code)'
    )


@dataclass(frozen=True)
class OffPolicySettings(Validated):
    """What SAC, CRR, PLAS, MBOP and POLO share: networks, rates and batches (C.2)."""

    width: int = setting(256, 'units of each of the two hidden layers', 1, 10_000)
    layer_norm: bool = setting(False, 'normalise the hidden layers of the critics')
    batch_norm: bool = setting(
        False,
        'instead of layer_norm: normalise inputs and hidden layers of the critics by their '
        'batches; they then learn without slow copies (CrossQ; sac only)',
    )
    num_critics: int = setting(2, 'critics: twins, or an ensemble (10 in REDQ)', 2, 100)
    learning_rate: float = setting(3e-4, 'Adam step size', 0, 1)
    discount: float = setting(0.99, 'gamma', 0, 1)
    tau: float = setting(0.005, 'Polyak rate of the slow copies of networks', 0, 1)
    batch_size: int = setting(256, 'transitions per update', 1, 1_000_000)
    updates_per_step: int = setting(1, 'updates per environment step that has any', 0, 1000)
    update_every: int = setting(1, 'environment steps from one with updates to the next', 1, 10_000)


@dataclass(frozen=True)
class SacSettings(Validated):
    """Soft actor-critic (Haarnoja et al. 2018)."""

    target_entropy: float = setting(-1.0, 'entropy aimed at, per action dimension', -20, 20)
    initial_entropy_coef: float = setting(1.0, 'temperature alpha at the start', 0, 1000)
    actor_every: int = setting(
        1,
        'updates of the critics to one of actor and temperature (20 in REDQ and DroQ)',
        1,
        1000,
    )
    target_critics: int = setting(
        2,
        'critics drawn for each update, of which the lowest is the target (REDQ); all of them '
        'where there are no more',
        1,
        100,
    )
    dropout: float = setting(
        0.0,
        'share of hidden units that the critics leave out while they learn (0.01 in DroQ)',
        0,
        0.9,
    )
    entropy_in_target: bool = setting(
        True, 'count the entropy bonus in Q (soft value) or not (value of the rewards only)'
    )
    reward_steps: int = setting(
        1,
        "rewards in a row, of the buffer, that the critics' target begins with (n-step returns)",
        1,
        100,
        'steps',
    )
    bootstrap: str = setting(
        'actor',
        "whose next action the critics' target values: the actor's, or the one that was taken next "
        '(SARSA, Eq. 71)',
        choices=('actor', 'buffer'),
    )


@dataclass(frozen=True)
class ModelRolloutSettings(Validated):
    """What the critics learn from rollouts of the actor in the ensemble."""

    fraction: float = setting(
        0.0, 'share of each batch branched from the ensemble instead of the buffer (MBPO)', 0, 1
    )
    length: int = setting(1, 'steps of the actor in each branch', 1, 1000, 'steps')
    penalty: float = setting(
        0.0,
        'lambda: taken off the rewards of branches for each unit of the largest predicted standard '
        'deviation (MOPO)',
        0,
        1e6,
    )
    expansion_horizon: int = setting(
        1,
        "rewards in the critics' target: one of the buffer, the others of the actor in the "
        'ensemble (value expansion)',
        1,
        100,
        'steps',
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
    """Policy in the latent action space (Zhou et al. 2020)."""

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
    update_after: int = setting(
        0, 'steps before the first update; 0: as soon as there is a batch', 0, 10_000_000
    )
    buffer_size: int = setting(1_000_000, 'transitions kept', 1, 100_000_000)
