# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the figures show: a value of each run on the steps that the runs of a task share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loop_ros.cli.report import aggregates
from loop_ros.cli.runs import Run

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.types import Array


@dataclass(frozen=True)
class Grid:
    """Steps on which the runs of a task are compared."""

    width: float
    num_bins: int

    @classmethod
    def of(cls, runs: list[Run]) -> Grid:
        """About 60 bins of a round width up to the last step of the longest run."""
        last = max(run.rows[-1]['step'] for run in runs)
        width = aggregates.bin_width(last)
        return cls(width, int(np.ceil(last / width)))

    @property
    def steps(self) -> Array:
        """The end of each bin [num_bins]."""
        return self.width * np.arange(1, self.num_bins + 1)

    def binned(self, steps: Array, values: Array) -> Array:
        """Mean of the episodes that ended in each bin."""
        return aggregates.binned(steps, values, self.width, self.num_bins)

    def interpolated(self, steps: Array, values: Array) -> Array:
        """Values between given ones; NaN more than a bin away from the first or the last."""
        found: Array = np.interp(self.steps, steps, values)
        outside = (self.steps < steps[0] - self.width) | (self.steps > steps[-1] + self.width)
        return np.where(outside, np.nan, found)


Values = Callable[[Run, Grid], 'Array | None']  # of a run on the grid; None: it has none


@dataclass(frozen=True)
class Kind:
    """What a figure shows."""

    title: str
    caption: str
    axis: str
    values: Values
    second: Values | None = None  # drawn dotted
    quantity: str = ''  # the published one to draw beside
    logarithmic: bool = False


def per_episode(name: str) -> Values:
    """A column of progress.csv, binned."""

    def values(run: Run, grid: Grid) -> Array | None:
        column = run.column(name)
        return None if column is None else grid.binned(_steps(run), column)

    return values


def model_error(run: Run, grid: Grid) -> Array | None:
    """The error on held-out data; 0 before the first training, which is no error."""
    column = run.column('model_error')
    if column is None:
        return None
    return grid.binned(_steps(run), np.where(column > 0.0, column, np.nan))


def evaluations(run: Run, grid: Grid) -> Array | None:
    """Mean return of the evaluations during training."""
    if not run.evaluations:
        return None
    steps, values = (np.array([row[n] for row in run.evaluations]) for n in ('step', 'mean_return'))
    return grid.interpolated(steps, values)


def cumulative_cost(run: Run, grid: Grid) -> Array | None:
    """All cost paid while training."""
    column = run.column('cost')
    return None if column is None else grid.interpolated(_steps(run), np.cumsum(column))


def cost_per_horizon(run: Run, grid: Grid) -> Array | None:
    """The environment's cost over as many steps as a plan looks ahead."""
    cost, steps = run.column('cost'), run.column('steps')
    horizon = run.result.get('settings', {}).get('planner', {}).get('horizon')
    if run.column('worst_cost') is None or horizon is None or cost is None or steps is None:
        return None
    return grid.binned(_steps(run), cost / np.maximum(steps, 1.0) * horizon)


def _steps(run: Run) -> Array:
    return np.array([row['step'] for row in run.rows])


KINDS = (
    Kind(
        'Return while training',
        'Episodes as the agent explores (the paper: Fig. 3, 6, 8).',
        'return / episode',
        per_episode('return'),
        quantity='return',
    ),
    Kind(
        'Return of evaluations',
        'Means of the evaluations between training episodes (Fig. 3, 12).',
        'return / episode',
        evaluations,
        quantity='return',
    ),
    Kind(
        'Cost of an episode while training',
        "The environment's own cost (Fig. 5, 6).",
        'cost / episode',
        per_episode('cost'),
        quantity='cost',
    ),
    Kind(
        'Cost so far', 'All cost paid while training.', 'cost, summed', cumulative_cost
    ),
    Kind(
        'Actor divergence',
        'Distance (L2) between the action planned and the mean of the actor (Fig. 4, 10).',
        'distance, actions in [-1, 1]',
        per_episode('actor_divergence'),
    ),
    Kind(
        "The planner's cost and the environment's",
        "Full: the environment's cost. Dotted: what the planner's cost function says of the same "
        'states.',
        'cost / episode',
        per_episode('cost'),
        per_episode('planner_cost'),
    ),
    Kind(
        'Predicted and real cost',
        'Full: worst cost, over models and particles, that the plan chosen predicts within its '
        'horizon; mean of an episode. Dotted: the cost that the environment charged over as many '
        'steps.',
        'cost / horizon',
        per_episode('worst_cost'),
        cost_per_horizon,
    ),
    Kind(
        'Error of the model',
        'Root mean squared error on transitions held out, in standard deviations of the targets.',
        'relative error',
        model_error,
        logarithmic=True,
    ),
    Kind(
        'Time of a plan',
        'Median of each episode, on the machine that its configuration names.',
        'ms / plan',
        per_episode('plan_ms'),
        quantity='plan time',
    ),
)  # fmt: skip
