# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The values that travel down the two corridors.

Letters used for shapes everywhere: O observation, S model state, A action, H horizon,
N action sequences, K models, P particles, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
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


class PlannerMemory(NamedTuple):
    """What a plan depends on, beside state, settings and weights: with it a plan is made again."""

    random_numbers: Tensor  # [any] bytes, state of the generator
    start: Tensor  # [H, A], where the search begins


class Scores(NamedTuple):
    """What a rollout says of N action sequences."""

    returns: Tensor  # [N], mean over models x particles, less the pessimism of Eq. 9
    costs: Tensor  # [N], worst case over models x particles
    diverged: Tensor  # [N] bool, left the finite numbers: the return is -inf, the cost inf


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanMetrics:
    """Every number that comes with a plan, in telemetry, logs and reports; add a new one here.

    NaN where nothing was predicted: for a random action, or the actor's.
    """

    plan_s: float  # wall time, s
    predicted_return: float = math.nan
    worst_cost: float = math.nan
    safe_fraction: float = math.nan  # share of the last iteration's candidates with cost <= d0
    d0: float  # the threshold that this plan used
    actor_divergence: float  # L2 distance of the normalised action to the actor's mean
    actor_share: float = math.nan  # weight of the actor's proposals in the last iteration
    disagreement: float = math.nan  # standard deviation of the predicted return over the models
    runner_up_return: float = math.nan  # of the best candidate that begins differently
    runner_up_cost: float = math.nan  # its worst cost
    iterations: int = 0  # of importance sampling that were run

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of the metrics, in the order of telemetry."""
        return tuple(item.name for item in fields(PlanMetrics))

    def metrics(self) -> dict[str, float]:
        """Metrics by name."""
        return {name: getattr(self, name) for name in self.names()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(PlanMetrics):
    """An action and the plan behind it; actions in physical units, inside the limits."""

    action: Array  # [A]
    sequence: Array  # [H, A], row 0 is the action
    states: Array  # [H+1, S], the ensemble's mean from row 0, the present state, on
    actor_action: Array  # [A], what the actor would do
    constrained: bool  # whether the planner had to keep the cost under d0
    runner_up: Array | None = None  # [A], first action of the runner-up
    next_state: Array | None = None  # [S], predicted mean after the action, where it was asked for
    next_std: Array | None = None  # [S], its standard deviation: models' noise and disagreement
    memory: PlannerMemory | None = None  # the planner's before it

    @property
    def predicted(self) -> bool:
        """Whether candidates were compared; else the action is random or the actor's."""
        return self.iterations > 0

    @property
    def diverged(self) -> bool:
        """Whether the models left the finite numbers along it: its metrics are no predictions."""
        return self.predicted_return == -math.inf

    @property
    def safe(self) -> bool:
        """Whether it, or any candidate, was predicted to keep its cost within d0."""
        return self.worst_cost <= self.d0 or self.safe_fraction > 0
