# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Problems made by hand in which the bounds are reached, or do not apply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loop_ros.theory.tabular import MDP, Plan, optimal_values
from loop_ros.types import Array


@dataclass(frozen=True)
class Example:
    """A problem, what a planner believes of it, the plan that follows and where it starts."""

    mdp: MDP
    model: MDP
    values: Array  # [S], V^
    plan: Plan  # [H, S]
    start: int


def worst_case(
    horizon: int,
    discount: float,
    model_error: float,
    value_error: float = 0.0,
    planner_error: float = 0.0,
) -> Example:
    """All errors conspire: the loss tends to Theorem 1 as they tend to 0. Rewards lie in [0, 1].

    Two lanes of `horizon` steps pay 1 a step and end at a fork, where one is chosen again. Lane 1
    (action 1) is safe; in lane 0 each step may fall into a pit that pays nothing. The model is
    wrong by model_error in favour of lane 0 and against lane 1, V^ by value_error likewise, and
    lane 0 is as bad as it can be for the planner to find it better by a hair, or worse by
    planner_error.

    States: the fork as reached by lane 0, by lane 1, the lanes' inner states, the pit. ValueError
    where the errors are so large that lane 0 would have to fall with a probability beyond 1, or V^
    be below 0.
    """
    if value_error * (1 - discount) > 1:
        raise ValueError(f'value error {value_error}: V^ would be below 0')
    fall = _fall_probability(horizon, discount, model_error, value_error, planner_error)
    mdp = MDP(_lanes(horizon, fall, 0.0), _paid(2 * horizon + 1), discount)
    model = MDP(_lanes(horizon, fall - model_error, model_error), mdp.rewards, discount)
    values = optimal_values(mdp)
    values[:2] += value_error, -value_error
    plan = np.zeros((horizon, 2 * horizon + 1), dtype=np.intp)
    return Example(mdp, model, values, plan, start=1)


def procrastination(horizon: int, discount: float, value_error: float) -> Example:
    """Exact model, yet replanning at each step loses more than Theorem 1 allows for horizon > 1.

    State 0 can leave (action 1, pays 1, as all later states do) or stay (action 0, pays less). V^
    is too low but for the state that leaving in the *next* step reaches: each plan is to stay once
    and then leave.
    """
    flattery = 2 * discount**horizon * value_error
    if flattery > 1:
        raise ValueError(f'value error {value_error}: staying would pay less than 0')
    size = horizon + 1
    transitions = np.zeros((size, 2, size))
    for state in range(size):
        transitions[state, :, min(state + 1, horizon)] = 1.0
    transitions[0, 0] = np.eye(size)[0]
    rewards = np.ones((size, 2))
    rewards[0, 0] -= flattery * (1 - 1e-9)
    mdp = MDP(transitions, rewards, discount)
    values = optimal_values(mdp) - value_error
    values[horizon - 1] += 2 * value_error
    plan = np.zeros((horizon, size), dtype=np.intp)
    plan[1:, 0] = 1
    return Example(mdp, mdp, values, plan, start=0)


def coin(discount: float) -> Example:
    """No error at all, yet two actions fixed beforehand lose: they cannot look at the coin.

    State 0 can bet (action 0) on a coin, then name the side that it shows (states 1, 2) for 1, or
    take 0.6 (action 1) and wait (state 3). Seeing the coin, betting is best; as a sequence it is
    worth half.
    """
    transitions = np.zeros((4, 2, 4))
    transitions[0, 0, 1:3] = 0.5
    transitions[0, 1, 3] = 1.0
    transitions[1:, :, 0] = 1.0
    rewards = np.array([[0.0, 0.6], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    mdp = MDP(transitions, rewards, discount)
    plan = np.array([[0, 0, 1, 0], [0, 0, 1, 0]], dtype=np.intp)
    return Example(mdp, mdp, optimal_values(mdp), plan, start=0)


def _fall_probability(
    horizon: int, discount: float, model_error: float, value_error: float, planner_error: float
) -> float:
    """Of a step in lane 0, by bisection on what the model says of the lanes."""
    best = 1 / (1 - discount)

    def believed(fall: float, error: float) -> float:
        stay = discount * (1 - fall)
        return float(np.sum(stay ** np.arange(horizon)) + stay**horizon * (best + error))

    target = believed(model_error, -value_error) - planner_error
    target += 1e-6 * (best - target)  # lane 0 is better by a hair
    low, high = model_error, 1.0
    if believed(high - model_error, value_error) > target:
        raise ValueError('errors too large: lane 0 would have to fall with a probability beyond 1')
    for _ in range(100):
        middle = (low + high) / 2
        enough = believed(middle - model_error, value_error) < target
        low, high = (low, middle) if enough else (middle, high)
    return low


def _lanes(horizon: int, fall_0: float, fall_1: float) -> Array:
    """Transitions [S, 2, S] of the lanes, each step of which falls with the probability given."""
    size = 2 * horizon + 1
    transitions = np.zeros((size, 2, size))
    transitions[-1, :, -1] = 1.0
    for lane, fall in enumerate((fall_0, fall_1)):
        inner = [2 + lane * (horizon - 1) + step for step in range(horizon - 1)]
        path = [*inner, lane]
        for state in (0, 1):
            transitions[state, lane, [path[0], size - 1]] = 1 - fall, fall
        for state, following in zip(inner, path[1:], strict=True):
            transitions[state, :, following] = 1 - fall
            transitions[state, :, -1] = fall
    return transitions


def _paid(size: int) -> Array:
    """Rewards [S, 2]: 1 everywhere but in the pit, the last state."""
    rewards = np.ones((size, 2))
    rewards[-1] = 0.0
    return rewards
