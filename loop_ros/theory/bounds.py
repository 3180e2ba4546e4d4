# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lemma 1 and Theorem 1 as functions: how much return errors can cost at most.

Model error is the greatest total variation distance between a row of the model and of the truth
(half the L1 distance, in [0, 1]); value error is max |V* - V^|; planner error is how much less than
the best H-step return in the model a plan may have. Rewards lie in [0, reward_max], V^ in
[0, value_max].
"""

from __future__ import annotations

from typing import Literal

import numpy as np

# 'appendix' is Eq. 36, which the proof yields; 'main' is Eq. 5 as printed, which can fail
# from 4 steps on.
Form = Literal['appendix', 'main']


def lemma1(value_error: float, discount: float) -> float:
    """Loss of acting greedily on V^ with the true dynamics (Eq. 4)."""
    return theorem1(0.0, value_error, 1, discount, 0.0, 0.0)


def theorem1(
    model_error: float,
    value_error: float,
    horizon: int,
    discount: float,
    reward_max: float,
    value_max: float,
    planner_error: float = 0.0,
    form: Form = 'appendix',
) -> float:
    """Loss of plans of `horizon` steps, each carried out to its end (Eq. 5)."""
    term = model_term(model_error, horizon, discount, reward_max, value_max, form)
    _check(horizon, discount, value_error, planner_error)
    per_plan = term + planner_error / 2 + discount**horizon * value_error
    return 2 * per_plan / (1 - discount**horizon)


def replanning(
    model_error: float,
    value_error: float,
    horizon: int,
    discount: float,
    reward_max: float,
    value_max: float,
    planner_error: float = 0.0,
) -> float:
    """Loss of a planner that plans again after each step.

    It may lose at every step what a plan carried out loses once: 1 - discount in place of
    1 - discount^horizon.
    """
    per_plan = theorem1(
        model_error, value_error, horizon, discount, reward_max, value_max, planner_error
    )
    return per_plan * (1 - discount**horizon) / (1 - discount)


def model_term(
    model_error: float,
    horizon: int,
    discount: float,
    reward_max: float,
    value_max: float,
    form: Form = 'appendix',
) -> float:
    """C of Theorem 1: how far a policy's H-step return in the model can be from the true one."""
    _check(horizon, discount, model_error, reward_max, value_max)
    steps = np.arange(horizon)
    # State distributions part by at most model_error a step: nothing at t = 0, t model_error at t.
    apart = steps if form == 'appendix' else np.ones(horizon)
    rewards = reward_max * float(np.sum(discount**steps * apart))
    return model_error * (rewards + discount**horizon * horizon * value_max)


def _check(horizon: int, discount: float, *sizes: float) -> None:
    """ValueError where the theorem does not apply."""
    if horizon < 1:
        raise ValueError(f'horizon {horizon}: a plan has at least one step')
    if not 0 <= discount < 1:
        raise ValueError(f'discount {discount}: it lies in [0, 1)')
    if not all(size >= 0 for size in sizes):
        raise ValueError(f'errors and ranges {sizes}: none is negative')
