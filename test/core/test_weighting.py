# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a planner ARC, safeARC or CEM (Eq. 8, Alg. 4 lines 29 to 38), by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loop_ros.planning import weighting
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


def scores(returns: list[float], costs: list[float] | None = None) -> Scores:
    found = torch.tensor(returns)
    return Scores(found, torch.tensor(costs or [0.0] * len(returns)), found.isneginf())


def softmax(exponents: list[float]) -> list[float]:
    weights = np.exp(exponents)
    return list(weights / weights.sum())


def test_arc_weights_by_hand() -> None:
    one = weighting.arc(scores([1.0, 2.0, 3.0]), PlannerSettings(temperature=1.0))
    assert one.tolist() == pytest.approx([0.0900306, 0.2447285, 0.6652410], rel=1e-5)
    # eta = 1/ln 2 turns exp(R/eta) into 2^R.
    two = weighting.arc(scores([0.0, 1.0, 2.0]), PlannerSettings(temperature=1.0 / math.log(2.0)))
    assert two.tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7], rel=1e-6)


def test_weights_survive_returns_of_any_size() -> None:
    """exp(R/eta) alone would be 0/0 or inf/inf here."""
    for shift in (-1e6, 1e6):
        weights = weighting.arc(scores([shift, shift + 1.0]), PlannerSettings(temperature=1.0))
        assert weights.tolist() == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])


def of_lead(temperature: float, **changes: Any) -> PlannerSettings:
    return PlannerSettings(temperature=temperature, temperature_unit='lead', **changes)


def test_temperature_in_units_of_the_lead_by_hand() -> None:
    """The best is 2 ahead of the median, so that half of it is an eta of 1."""
    weights = weighting.arc(scores([0.0, 1.0, 3.0]), of_lead(0.5))
    assert weights.tolist() == pytest.approx(softmax([0.0, 1.0, 3.0]), rel=1e-5)


@given(
    st.lists(st.integers(-100, 100), min_size=2, max_size=20),
    st.sampled_from([1e-3, 0.1, 10.0, 1e4]),
    st.integers(-100, 100),
)
def test_in_units_of_the_lead_the_scale_of_rewards_does_not_matter(
    returns: list[int], scale: float, shift: int
) -> None:
    plain = weighting.arc(scores([float(r) for r in returns]), of_lead(0.2))
    other = weighting.arc(scores([scale * (r + shift) for r in returns]), of_lead(0.2))
    assert other.tolist() == pytest.approx(plain.tolist(), abs=1e-3)


def test_a_sequence_that_falls_leaves_the_lead_as_it_is() -> None:
    """A standard deviation would let one fall make all others equal."""
    falls = weighting.arc(scores([-1e6, 1.0, 2.0, 3.0, 4.0]), of_lead(0.2))
    stays = weighting.arc(scores([0.0, 1.0, 2.0, 3.0, 4.0]), of_lead(0.2))
    assert falls[1:].tolist() == pytest.approx(stays[1:].tolist(), rel=1e-4)


def test_the_lead_is_that_of_the_safe_sequences() -> None:
    settings = of_lead(0.5, d0=0.5, min_safe=1)
    weights = weighting.safe_arc(scores([0.0, 1.0, 3.0, 90.0], [0, 0, 0, 1]), settings)
    assert weights.tolist() == pytest.approx([*softmax([0.0, 1.0, 3.0]), 0.0], rel=1e-5)


def test_arc_pays_no_heed_to_cost() -> None:
    weights = weighting.arc(scores([0.0, 0.0], [0.0, 9.0]), PlannerSettings())
    assert weights.tolist() == [0.5, 0.5]


# Returns 0, ln 2, 5 with costs 0, 0.5, 1: under d0 = 0.5 the first two are safe.
RETURNS, COSTS = [0.0, math.log(2.0), 5.0], [0.0, 0.5, 1.0]
BY_RETURN = [1 / 3, 2 / 3, 0.0]
BY_COST = softmax([0.0, -0.5, -1.0])


@pytest.mark.parametrize(
    ('d0', 'min_safe', 'expected'),
    [
        (0.5, 1, BY_RETURN),
        (0.5, 2, BY_RETURN),  # exactly m safe ones are enough; a cost of exactly d0 is safe
        (0.5, 3, BY_COST),
        (0.0, 1, [1.0, 0.0, 0.0]),  # d0 = 0 accepts no cost, and is not impossible
        (0.0, 2, BY_COST),
    ],
)
def test_both_branches_of_algorithm_4(d0: float, min_safe: int, expected: list[float]) -> None:
    settings = PlannerSettings(d0=d0, min_safe=min_safe, temperature=1.0)
    weights = weighting.safe_arc(scores(RETURNS, COSTS), settings)
    assert weights.tolist() == pytest.approx(expected, rel=1e-5)


def test_no_safe_sequence_at_all_prefers_the_least_cost() -> None:
    settings = PlannerSettings(d0=0.1, min_safe=1, temperature=0.5)
    weights = weighting.safe_arc(scores([9.0, 0.0], [3.0, 1.0]), settings)
    assert weights.tolist() == pytest.approx([1 / (1 + math.e**4), math.e**4 / (1 + math.e**4)])


def test_temperature_sharpens_the_cautious_branch_too() -> None:
    cold = PlannerSettings(d0=0.1, min_safe=1, temperature=1e-3)
    assert weighting.safe_arc(scores([9.0, 0.0], [3.0, 1.0]), cold).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ('elite_fraction', 'expected'),
    [(0.5, [0, 0.5, 0, 0.5]), (0.25, [0, 0, 0, 1]), (0.0, [0, 0, 0, 1]), (1.0, [0.25] * 4)],
)
def test_cem_keeps_the_elites_by_return(elite_fraction: float, expected: list[float]) -> None:
    settings = PlannerSettings(elite_fraction=elite_fraction)
    weights = weighting.cem(scores([1.0, 3.0, 2.0, 4.0], [9, 9, 0, 9]), settings)
    assert weights.tolist() == expected


@pytest.mark.parametrize(
    ('returns', 'costs', 'expected'),
    [
        # Two safe ones or more: the two best of the safe, whatever the unsafe promise.
        ([1.0, 3.0, 2.0, 400.0], [0.0, 0.2, 0.0, 0.3], [0, 0.5, 0.5, 0]),
        # One safe: it, and the least cost among the rest.
        ([1.0, 3.0, 2.0, 400.0], [0.1, 5.0, 0.5, 0.9], [0.5, 0, 0.5, 0]),
        # None safe: the two of least cost.
        ([1.0, 3.0, 2.0, 400.0], [0.9, 0.8, 1e4, 1e6], [0.5, 0.5, 0, 0]),
    ],
)
def test_safe_cem_elites(returns: list[float], costs: list[float], expected: list[float]) -> None:
    settings = PlannerSettings(elite_fraction=0.5, d0=0.2)
    assert weighting.safe_cem(scores(returns, costs), settings).tolist() == expected


@pytest.mark.parametrize('unit', ['return', 'lead'])
@pytest.mark.parametrize('rule', sorted(weighting.RULES))
def test_weights_are_a_distribution(rule: str, unit: str) -> None:
    generator = torch.Generator().manual_seed(0)
    returns, costs = torch.randn(50, generator=generator) * 100, torch.rand(50, generator=generator)
    drawn = Scores(returns, costs, returns.isnan())
    weights = weighting.weigh(drawn, PlannerSettings(algorithm=rule, temperature_unit=unit, d0=0.3))
    assert weights.min() >= 0.0
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize('unit', ['return', 'lead'])
@pytest.mark.parametrize('rule', sorted(weighting.RULES))
def test_diverged_sequences_weigh_nothing(rule: str, unit: str) -> None:
    """Whether others are safe or not; where all diverged the weights are equal, or CEM's elites."""
    settings = PlannerSettings(
        algorithm=rule, temperature_unit=unit, d0=0.3, min_safe=1, elite_fraction=0.5
    )
    for cost in (0.0, 5.0):
        drawn = scores([-torch.inf, 2.0, -torch.inf, -3e9], [torch.inf, cost, torch.inf, cost])
        weights = weighting.weigh(drawn, settings)
        assert weights[[0, 2]].tolist() == [0.0, 0.0]
        assert weights.sum().item() == pytest.approx(1.0)
    weights = weighting.weigh(scores([-torch.inf] * 4, [torch.inf] * 4), settings)
    assert weights.isfinite().all() and weights.sum().item() == pytest.approx(1.0)
