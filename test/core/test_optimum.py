# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A linear-Gaussian system whose optimum is known, free and behind a wall."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from known_world import LinearEnsemble, make_rollout
from torch import Tensor

from loop_ros.planning.planner import Planner
from loop_ros.planning.search import Solution
from loop_ros.settings import PlannerSettings

GAIN, GOAL, EFFORT, LQ_DISCOUNT, LQ_START = 0.4, 0.5, 0.1, 0.9, 0.0


def quadratic_reward(state: Tensor, action: Tensor) -> Tensor:
    return -((state - GOAL) ** 2) - EFFORT * action**2


def quadratic_optimum(horizon: int) -> np.ndarray:
    """Maximise sum_t gamma^t r(s_t, a_t) with s_t = s_0 + gain * (a_0 + .. + a_{t-1}).

    Weighted least squares; additive noise does not move the optimum of its mean.
    """
    rows, targets = [], []
    for t in range(horizon):
        weight = math.sqrt(LQ_DISCOUNT**t)
        rows.append(weight * GAIN * (np.arange(horizon) < t))
        targets.append(weight * (GOAL - LQ_START))
        rows.append(weight * math.sqrt(EFFORT) * (np.arange(horizon) == t))
        targets.append(0.0)
    return np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]


def quadratic_plan(std: float, cost: Any = None, **changes: Any) -> Solution:
    rollout = make_rollout(LinearEnsemble([GAIN], quadratic_reward, std), cost=cost)
    planner = Planner(rollout, torch.Generator().manual_seed(0))
    settings = PlannerSettings(
        **{
            'horizon': 5, 'num_samples': 400, 'num_particles': 20, 'num_iterations': 25,
            'temperature': 0.003, 'initial_std': 0.5, 'mean_update': 1.0, 'variance_update': 0.5,
            'discount': LQ_DISCOUNT, 'terminal_value': 'none', 'actor_fraction': 0.0, **changes,
        }
    )  # fmt: skip
    return planner.plan(torch.tensor([LQ_START]), settings)


@pytest.mark.parametrize('algorithm', ['arc', 'cem', 'safe_arc', 'safe_cem'])
@pytest.mark.parametrize('std', [0.0, 0.05])
def test_planners_reach_the_known_optimum(algorithm: str, std: float) -> None:
    """Within 0.05 of the exact actions; the noise of 20 particles alone moves them by 0.02."""
    optimum = quadratic_optimum(5)
    assert np.abs(optimum).max() < 1.0, 'the optimum must lie inside the action range'
    solution = quadratic_plan(std, cost=lambda s: 0.0 * s[..., 0], algorithm=algorithm)
    np.testing.assert_allclose(solution.sequence[:, 0], optimum, atol=0.05)


def test_the_papers_smoothing_reaches_the_optimum_with_patience() -> None:
    solution = quadratic_plan(
        0.0, algorithm='arc', mean_update=0.1, variance_update=0.1, num_iterations=80
    )
    np.testing.assert_allclose(solution.sequence[:, 0], quadratic_optimum(5), atol=0.05)


@pytest.mark.parametrize(('free', 'safe'), [('arc', 'safe_arc'), ('cem', 'safe_cem')])
def test_the_constraint_holds_where_the_free_optimum_breaks_it(free: str, safe: str) -> None:
    """A wall at 0.3 on the way to the goal at 0.5: the safe plan stops before it, but near it."""

    def beyond_wall(state: Tensor) -> Tensor:
        return (state[..., 0] > 0.3).float()

    unsafe = quadratic_plan(0.02, beyond_wall, algorithm=free, d0=0.0)
    cautious = quadratic_plan(0.02, beyond_wall, algorithm=safe, d0=0.0, min_safe=10)
    assert unsafe.metrics['worst_cost'] > 0.0
    assert cautious.metrics['worst_cost'] == 0.0
    assert 0.15 < cautious.states.max() <= 0.3
    assert cautious.metrics['predicted_return'] < unsafe.metrics['predicted_return']


def test_the_worst_model_binds_the_plan() -> None:
    """Eq. 10 takes the maximum over models: one eager model holds all the others back."""

    def reach(gains: list[float]) -> float:
        rollout = make_rollout(
            LinearEnsemble(gains, quadratic_reward), cost=lambda s: (s[..., 0] > 0.3).float()
        )
        planner = Planner(rollout, torch.Generator().manual_seed(0))
        settings = PlannerSettings(
            algorithm='safe_arc', d0=0.0, min_safe=10, horizon=3, num_samples=300,
            num_iterations=15, temperature=0.003, mean_update=1.0, variance_update=0.5,
            terminal_value='none', actor_fraction=0.0,
        )  # fmt: skip
        sequence = planner.plan(torch.tensor([LQ_START]), settings).sequence[:, 0]
        return max(0.4 * sequence.cumsum(0).max().item(), 0.0)

    assert reach([0.4, 0.4]) == pytest.approx(0.3, abs=0.05)
    # The eager model must stay under 0.3, so the others reach only 0.4/0.8 of that.
    assert reach([0.4, 0.8]) == pytest.approx(0.15, abs=0.03)
