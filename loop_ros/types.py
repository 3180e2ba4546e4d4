# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel down the two corridors.

Letters used for shapes everywhere: O observation, S model state, A action, H horizon,
N action sequences, K models, P particles, B batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


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


class Rows(NamedTuple):
    """B transitions as columns, with the names and units of `Transition`."""

    stamp: Array  # [B], s
    episode: Integers  # [B]
    step: Integers  # [B]
    observation: Array  # [B, O]
    action: Array  # [B, A]
    reward: Array  # [B]
    cost: Array  # [B]
    next_observation: Array  # [B, O]
    terminated: Flags  # [B]
    truncated: Flags  # [B]

    @property
    def size(self) -> int:
        """The number of transitions."""
        return len(self.stamp)

    @classmethod
    def of(cls, transitions: Iterable[Transition]) -> Self:
        """The columns of at least one transition."""
        rows = ([getattr(t, name) for name in cls._fields] for t in transitions)
        return cls(*map(np.array, zip(*rows, strict=True)))

    def transitions(self) -> Iterator[Transition]:
        """The same one by one."""
        columns = (part.tolist() if part.ndim == 1 else part for part in self)
        for row in zip(*columns, strict=True):
            yield Transition(*row)


class Batch(NamedTuple):
    """B transitions as the networks see them: encoded states, actions in [-1, 1]."""

    state: Tensor  # [B, S]
    action: Tensor  # [B, A]
    reward: Tensor  # [B]
    cost: Tensor  # [B]
    next_state: Tensor  # [B, S]
    terminated: Tensor  # [B], 0 or 1

    def table(self) -> Tensor:
        """All of it as one tensor [B, 2S+A+3], fields in their order."""
        return torch.cat([part.reshape(len(self.reward), -1) for part in self], dim=1)

    @classmethod
    def from_table(cls, table: Tensor, state_dim: int, action_dim: int) -> Self:
        """The inverse of `table`; views of it."""
        parts = table.split((state_dim, action_dim, 1, 1, state_dim, 1), dim=1)
        state, action, reward, cost, next_state, terminated = parts
        return cls(state, action, reward[:, 0], cost[:, 0], next_state, terminated[:, 0])

    def take(self, index: Tensor) -> Self:
        """The transitions of an index [n], or of a mask [B]."""
        return type(self)(*(part[index] for part in self))

    def to(self, device: str | torch.device) -> Self:
        """The same on a device."""
        return type(self)(*(part.to(device) for part in self))


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
