# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small MDPs as arrays, planned and evaluated exactly.

Shapes: [...] is any batch of MDPs, S states, A actions, H steps. A plan [H, ..., S] holds the
action for each step and state: the best one depends on both where transitions are random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop_ros.types import Array

Plan = NDArray[np.intp]


@dataclass(frozen=True)
class MDP:
    """Transition probabilities [..., S, A, S], rewards [..., S, A] and discount."""

    transitions: Array
    rewards: Array
    discount: float

    def action_values(self, values: Array) -> Array:
        """Reward and discounted mean of `values` [..., S] after one step, [..., S, A]."""
        return self.rewards + self.discount * np.einsum(
            '...sat,...t->...sa', self.transitions, values
        )


def optimal_values(mdp: MDP, tolerance: float = 1e-11) -> Array:
    """V* [..., S] to within tolerance, by value iteration."""
    values = np.zeros(mdp.rewards.shape[:-1])
    while True:
        better = mdp.action_values(values).max(axis=-1)
        change = float(np.abs(better - values).max())
        values = better
        if change * mdp.discount <= tolerance * (1 - mdp.discount):
            return values


def lookahead(
    model: MDP, values: Array, horizon: int, slack: float = 0.0, prefer: Array | None = None
) -> Plan:
    """The plan [H, ..., S] of most return in the model with `values` at its end (Eq. 3).

    Its last h steps are the plan for h steps. With `prefer` [..., S, A] the action that it scores
    highest is taken of those within `slack` of the best at a step: with -Q*, a planner as bad as it
    may be.
    """
    plan = []
    for _ in range(horizon):
        scores = model.action_values(values)
        values = scores.max(axis=-1)
        if prefer is None:
            plan.append(scores.argmax(axis=-1))
        else:
            allowed = scores >= values[..., None] - slack
            plan.append(np.where(allowed, prefer, -np.inf).argmax(axis=-1))
    return np.stack(plan[::-1])


def carry_out(mdp: MDP, plan: Plan) -> tuple[Array, Array]:
    """Discounted reward [..., S] of a plan from each state, and where it ends [..., S, S]."""
    rewards = np.zeros(mdp.rewards.shape[:-1])
    ends = np.broadcast_to(
        np.eye(rewards.shape[-1]), mdp.transitions.shape[:-2] + rewards.shape[-1:]
    )
    for actions in plan[::-1]:
        chosen = actions[..., None]
        step = np.take_along_axis(mdp.transitions, chosen[..., None], axis=-2)[..., 0, :]
        gained = np.take_along_axis(mdp.rewards, chosen, axis=-1)[..., 0]
        rewards = gained + mdp.discount * np.einsum('...st,...t->...s', step, rewards)
        ends = step @ ends
    return rewards, ends


def evaluate(mdp: MDP, plan: Plan) -> Array:
    """Value [..., S] of carrying the plan out to its end, again and again."""
    return repeat(mdp, *carry_out(mdp, plan), steps=len(plan))


def evaluate_replanning(mdp: MDP, plan: Plan) -> Array:
    """Value [..., S] of taking the plan's first step and replanning, again and again."""
    return evaluate(mdp, plan[:1])


def repeat(mdp: MDP, rewards: Array, ends: Array, steps: int) -> Array:
    """Value [..., S] of `rewards` [..., S] again and again, `steps` apart, from where each ends."""
    system = np.eye(rewards.shape[-1]) - mdp.discount**steps * ends
    return np.linalg.solve(system, rewards[..., None])[..., 0]
