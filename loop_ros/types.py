# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel down the two corridors.

Letters used for shapes everywhere: O observation, S model state, A action, H horizon,
N action sequences, K models, P particles, B batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Transition:
    """One control period of experience, in the units of the robot's interface."""

    stamp: float  # s, of the observation
    episode: int
    step: int
    observation: Array  # [O]
    action: Array  # [A], physical units
    reward: float
    cost: float
    next_observation: Array  # [O]
    terminated: bool
    truncated: bool

    def is_finite(self) -> bool:
        """Whether every number in it is finite."""
        return bool(
            np.isfinite(self.observation).all()
            and np.isfinite(self.action).all()
            and np.isfinite(self.next_observation).all()
            and np.isfinite((self.stamp, self.reward, self.cost)).all()
        )


class Batch(NamedTuple):
    """Transitions as the networks see them: encoded states, actions in [-1, 1]."""

    state: Tensor  # [B, S]
    action: Tensor  # [B, A]
    reward: Tensor  # [B]
    cost: Tensor  # [B]
    next_state: Tensor  # [B, S]
    terminated: Tensor  # [B], 0 or 1


class Scores(NamedTuple):
    """What a rollout says of N action sequences."""

    returns: Tensor  # [N], mean over models x particles, less the pessimism of Eq. 9
    costs: Tensor  # [N], worst case over models x particles


@dataclass(frozen=True, slots=True)
class Plan:
    """A command and the plan behind it."""

    action: Array  # [A], physical units, inside the limits
    sequence: Array  # [H, A], physical units; row 0 is the action
    predicted_return: float
    worst_cost: float
    safe_fraction: float  # share of the last iteration's candidates with cost <= d0
    d0: float  # the threshold that this plan used
    actor_divergence: float  # L2 distance of the normalised action to the actor's mean
    actor_share: float  # weight of the actor's proposals among the last iteration's candidates
    disagreement: float  # standard deviation of the predicted return over the models
    runner_up_return: float  # of the best candidate that begins differently (planner.RunnerUp)
    runner_up_cost: float  # its worst cost
    runner_up: Array  # [A], its first action, physical units
    states: Array  # [H+1, S], predicted by the ensemble's mean; row 0 is where the plan starts
    plan_s: float  # wall time, s
    iterations: int  # of importance sampling that were run
    actor_action: Array  # [A], what the actor would do, physical units
    next_state: Array  # [S], the ensemble's mean after the action; NaN where nothing is foretold
    next_std: Array  # [S], its standard deviation: of each model's noise and among the models
