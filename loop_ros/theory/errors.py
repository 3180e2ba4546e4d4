# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Random MDPs, and models and value functions that are wrong by a given amount."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loop_ros.theory.tabular import MDP
from loop_ros.types import Array


def random_mdp(
    generator: np.random.Generator,
    num_states: int,
    num_actions: int,
    branching: int,
    discount: float,
    rewarded: float = 1.0,
    batch: tuple[int, ...] = (),
) -> MDP:
    """Garnet MDPs: each state and action leads to `branching` states drawn at random.

    Rewards are uniform in [0, 1] in a share `rewarded` of the states, at least one, else 0.
    """
    shape = (*batch, num_states, num_actions)
    order = generator.random((*batch, num_states)).argsort(axis=-1)
    pays = order < max(1, round(rewarded * num_states))
    rewards = generator.random(shape) * pays[..., None]
    return MDP(_random_rows(generator, shape, num_states, branching), rewards, discount)


def total_variation(transitions: Array, others: Array) -> Array:
    """Half the L1 distance of each row, [..., S, A]."""
    return np.abs(transitions - others).sum(axis=-1) / 2


def random_model(
    generator: np.random.Generator, mdp: MDP, model_error: float, branching: int
) -> MDP:
    """A model wrong by `model_error` in every row, or less where the row drawn is nearer."""
    shape = mdp.rewards.shape
    others = _random_rows(generator, shape, shape[-2], branching)
    apart = np.maximum(total_variation(mdp.transitions, others), 1e-12)
    share = np.minimum(1.0, model_error / apart)[..., None]
    return replace(mdp, transitions=(1 - share) * mdp.transitions + share * others)


def misleading_model(mdp: MDP, model_error: float, values: Array, scores: Array) -> MDP:
    """A model wrong by at most `model_error` that flatters all actions but the best.

    Best is the one of most `scores` [..., S, A]. Its probability moves from the states of most
    `values` [..., S] to the one of least, that of the others the other way.
    """
    best = scores == scores.max(axis=-1, keepdims=True)
    worse = _move(mdp.transitions, -values, model_error)
    better = _move(mdp.transitions, values, model_error)
    return replace(mdp, transitions=np.where(best[..., None], worse, better))


def wrong_values(generator: np.random.Generator, values: Array, value_error: float) -> Array:
    """V^ at `value_error` above or below `values` [..., S], and never below 0."""
    signs = generator.choice([-1.0, 1.0], size=values.shape)
    return np.maximum(0.0, values + value_error * signs)


def _move(transitions: Array, values: Array, share: float) -> Array:
    """Rows with up to `share` moved to the state of most `values`, from those of least first."""
    order = np.broadcast_to(values.argsort(axis=-1)[..., None, None, :], transitions.shape)
    ranked = np.take_along_axis(transitions, order, axis=-1)
    before = np.cumsum(ranked, axis=-1) - ranked
    taken = np.clip(share - before, 0.0, ranked)
    taken[..., -1] = 0.0  # the state of most values keeps what it has
    ranked = ranked - taken
    ranked[..., -1] += taken.sum(axis=-1)
    moved = np.empty_like(ranked)
    np.put_along_axis(moved, order, ranked, axis=-1)
    return moved


def _random_rows(
    generator: np.random.Generator, shape: tuple[int, ...], num_states: int, branching: int
) -> Array:
    """Distributions [*shape, S] over `branching` states each."""
    order = generator.random((*shape, num_states)).argsort(axis=-1)
    weights = generator.exponential(size=(*shape, num_states)) * (order < branching)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
