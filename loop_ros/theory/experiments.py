# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the bounds say beside what happens, on random MDPs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loop_ros.theory import bounds, errors, examples, tabular
from loop_ros.types import Array

HORIZONS = (1, 2, 3, 5, 8, 12, 20, 30)
MODEL_ERRORS = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
VALUE_ERRORS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# Rewards are rare, so that V* stays well below the 20 that R_max = 1 allows (at 20 the model's part
# of Theorem 1 is the same for every horizon).
NUM_STATES, NUM_ACTIONS, BRANCHING, DISCOUNT, REWARDED = 20, 4, 4, 0.95, 0.1
# A longer horizon costs time: it counts as better where it loses less by more than this share.
WORTHWHILE = 0.05


@dataclass(frozen=True)
class Losses:
    """Loss of the worst state, mean over the problems, for each of HORIZONS."""

    bound: Array
    printed_bound: Array  # Eq. 5 as printed
    replanning_bound: Array
    carried_out: Array
    replanned: Array
    greedy_bound: float  # Lemma 1: one step with the true dynamics, as a Q-function learns it
    greedy: float


class Problems:
    """Random MDPs, the same for every size of the errors; so are the directions of the errors."""

    def __init__(self, num: int, seed: int) -> None:
        self.seed = seed
        self.mdp = errors.random_mdp(
            np.random.default_rng([seed, 0]),
            NUM_STATES, NUM_ACTIONS, BRANCHING, DISCOUNT, REWARDED, (num,),
        )  # fmt: skip
        self.optimal = tabular.optimal_values(self.mdp)

    def losses(self, model_error: float, value_error: float, misleading: bool = False) -> Losses:
        """All planners' losses under a random model, or one made to mislead."""
        generator = np.random.default_rng([self.seed, 1])
        values = errors.wrong_values(generator, self.optimal, value_error)
        model = errors.random_model(generator, self.mdp, model_error, BRANCHING)
        if misleading:
            scores = self.mdp.action_values(self.optimal)
            model = errors.misleading_model(self.mdp, model_error, self.optimal, scores)
        longest = tabular.lookahead(model, values, max(HORIZONS))
        plans = [longest[len(longest) - horizon :] for horizon in HORIZONS]
        greedy = tabular.lookahead(self.mdp, values, 1)
        value_max = float(values.max(axis=-1).mean())
        sizes = [(model_error, value_error, h, DISCOUNT, 1.0, value_max) for h in HORIZONS]
        return Losses(
            np.array([bounds.theorem1(*size) for size in sizes]),
            np.array([bounds.theorem1(*size, form='main') for size in sizes]),
            np.array([bounds.replanning(*size) for size in sizes]),
            np.array([self._loss(tabular.evaluate(self.mdp, plan)) for plan in plans]),
            np.array([self._loss(tabular.evaluate_replanning(self.mdp, plan)) for plan in plans]),
            bounds.lemma1(value_error, DISCOUNT),
            self._loss(tabular.evaluate(self.mdp, greedy)),
        )

    def _loss(self, values: Array) -> float:
        return float((self.optimal - values).max(axis=-1).mean())


def best_horizons(num: int, seed: int) -> dict[str, list[list[int]]]:
    """The horizon of least loss for each value error (rows) and model error; 0: no model at all."""
    problems = Problems(num, seed)
    grid = [[problems.losses(m, v) for m in MODEL_ERRORS] for v in VALUE_ERRORS]
    sources = {
        'Theorem 1': lambda cell: (cell.greedy_bound, cell.bound),
        'measured, plans carried out': lambda cell: (cell.greedy, cell.carried_out),
        'measured, replanning': lambda cell: (cell.greedy, cell.replanned),
    }
    return {
        name: [[_best(*source(cell)) for cell in row] for row in grid]
        for name, source in sources.items()
    }


def _best(without_model: float, by_horizon: Array) -> int:
    """The shortest horizon that is not worth lengthening."""
    losses = np.array([without_model, *by_horizon])
    good = losses <= losses.min() * (1 + WORTHWHILE) + 1e-9
    return (0, *HORIZONS)[int(good.argmax())]


def tightness(num: int, seed: int, horizons: tuple[int, ...] = (1, 3, 6, 10)) -> dict[str, Array]:
    """Loss as a share of its bound [num x horizons], sorted, by kind of error and of planner.

    Problems of 6 states and 3 actions, discount 0.9, errors of every size, more of them small.
    """
    generator = np.random.default_rng([seed, 2])
    shares: dict[str, list[float]] = {}
    for horizon in horizons:
        for _ in range(num):
            mdp = errors.random_mdp(generator, 6, 3, 3, 0.9)
            optimal = tabular.optimal_values(mdp)
            model_error, value_error = generator.uniform() ** 3, 2 * generator.uniform() ** 2
            values = errors.wrong_values(generator, optimal, value_error)
            models = {
                'random': errors.random_model(generator, mdp, model_error, 3),
                'misleading': errors.misleading_model(
                    mdp, model_error, optimal, mdp.action_values(optimal)
                ),
            }
            size = (model_error, value_error, horizon, 0.9, 1.0, float(values.max()))
            for name, model in models.items():
                plan = tabular.lookahead(model, values, horizon)
                loss = (optimal - tabular.evaluate(mdp, plan)).max()
                again = (optimal - tabular.evaluate_replanning(mdp, plan)).max()
                measured = {
                    f'{name} model': loss / bounds.theorem1(*size),
                    f'{name} model, as printed': loss / bounds.theorem1(*size, form='main'),
                    f'{name} model, replanning': again / bounds.replanning(*size),
                }
                for key, share in measured.items():
                    shares.setdefault(key, []).append(max(0.0, float(share)))
    return {name: np.sort(values) for name, values in shares.items()}


def worst_case_share(
    horizon: int, discount: float, model_error: float, value_error: float, form: bounds.Form
) -> float:
    """Loss of the worst case made by hand as a share of Theorem 1."""
    case = examples.worst_case(horizon, discount, model_error, value_error)
    value_max = float(case.values.max())
    loss = _loss_at_start(case, tabular.evaluate(case.mdp, case.plan))
    return loss / bounds.theorem1(
        model_error, value_error, horizon, discount, 1.0, value_max, form=form
    )


def procrastination_share(horizon: int, discount: float, value_error: float) -> float:
    """Loss of replanning where it never gets to the point, as a share of Theorem 1."""
    case = examples.procrastination(horizon, discount, value_error)
    value_max = float(case.values.max())
    loss = _loss_at_start(case, tabular.evaluate_replanning(case.mdp, case.plan))
    return loss / bounds.theorem1(0.0, value_error, horizon, discount, 1.0, value_max)


def _loss_at_start(case: examples.Example, values: Array) -> float:
    return float((tabular.optimal_values(case.mdp) - values)[case.start])


def summary(shares: dict[str, Array]) -> list[dict[str, Any]]:
    """Median, 99th percentile and greatest of each list of shares."""
    return [
        {
            'errors': name,
            'problems': len(values),
            'no loss': float(np.mean(values < 1e-9)),
            'median': float(np.median(values)),
            '99%': float(np.quantile(values, 0.99)),
            'most': float(values.max()),
        }
        for name, values in shares.items()
    ]
