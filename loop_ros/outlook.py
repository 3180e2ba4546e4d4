# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a search knows beyond its plan: where candidates lead, and plans under other thresholds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.devices import to_host
from loop_ros.planning import weighting
from loop_ros.planning.search import Search
from loop_ros.settings import PlannerSettings
from loop_ros.sim.task import Task
from loop_ros.types import Array


class Futures(NamedTuple):
    """What the models say of M action sequences."""

    actions: Array  # [M, A], the first ones, physical units
    returns: Array  # [M]
    costs: Array  # [M], worst case over models and particles
    step_costs: Array  # [M, H], worst case of each step
    states: Array  # [M, H+1, S], mean over models and particles

    def rows(self, begin: int, end: int) -> Self:
        """Some of them."""
        return type(self)(*(part[begin:end] for part in self))


class Outlook(NamedTuple):
    """Beyond the last plan."""

    plan: Futures  # of the planned sequence alone
    thresholds: Array  # [D], other d0
    safe_fractions: Array  # [D], share of the candidates that keep them
    alternatives: Futures  # of the D sequences that would be planned under them
    candidates: Futures  # of some that the plan was compared with
    heeded: bool  # whether the planner heeds d0 at all


class OutlookView(NamedTuple):
    """What a viewer gets of an outlook: M = 1 + D + C futures, the plan's first.

    Then those of the D thresholds, then those of C candidates.
    """

    stamp: float  # s, of the state that the plan answers
    d0: float  # of the plan
    heeded: float  # 1 where the planner heeds d0, else 0
    thresholds: Array  # [D], other d0
    safe_fractions: Array  # [D], share of the candidates that keep them
    returns: Array  # [M], predicted
    costs: Array  # [M], worst predicted
    actions: Array  # [M, A], the first ones, physical units
    step_costs: Array  # [M, H], worst predicted of each step
    poses: Array  # [M, H+1, 3], x, y (m), yaw (rad) in the odom frame; [M, 0, 3] without a plane

    @property
    def alternatives(self) -> slice:
        """The futures of the thresholds."""
        return slice(1, 1 + len(self.thresholds))

    @property
    def candidates(self) -> slice:
        """The futures of the candidates."""
        return slice(1 + len(self.thresholds), len(self.returns))


@torch.inference_mode()
def outlook(agent: Agent, thresholds: Sequence[float] = (), candidates: int = 0) -> Outlook | None:
    """Of an agent's last plan, under the settings of the next; None where nothing was compared.

    Takes one small rollout and leaves the next plan as it would have been. ValueError for a
    threshold that is no number from 0.
    """
    search, settings = agent.last_search, agent.settings.planner
    if not all(0 <= d0 < float('inf') for d0 in thresholds):
        raise ValueError(f'thresholds are {list(thresholds)}: each d0 is a finite number from 0')
    if search is None:
        return None
    sequences = torch.cat(
        (
            at_thresholds(search, [settings.d0, *thresholds], settings),
            thinned(search.candidates, candidates),
        )
    )
    limits = torch.tensor(thresholds, device=agent.device)
    keeping = (search.scores.costs <= limits.unsqueeze(1)).float().mean(dim=1)
    host = to_host({**_futures(agent, search, sequences, settings), 'keeping': keeping})
    safe_fractions = host.pop('keeping')
    found = Futures(**host, actions=agent.task.denormalize_action(_first(sequences)))
    last = 1 + len(thresholds)
    return Outlook(
        plan=found.rows(0, 1),
        thresholds=np.array(thresholds, dtype=np.float64),
        safe_fractions=safe_fractions,
        alternatives=found.rows(1, last),
        candidates=found.rows(last, len(sequences)),
        heeded=settings.constrained,
    )


def view_of(found: Outlook, stamp: int, d0: float, observation: Array, task: Task) -> OutlookView:
    """An outlook from an observation [O] of `stamp` (ns), drawn where the task draws a plane."""
    parts = found.plan, found.alternatives, found.candidates
    returns, costs, actions, step_costs, states = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ('returns', 'costs', 'actions', 'step_costs', 'states')
    )
    poses = np.zeros((len(returns), 0, 3))
    if task.path is not None:
        poses = np.array([task.path(observation, each) for each in states])
    return OutlookView(
        stamp / 1e9, d0, float(found.heeded), found.thresholds, found.safe_fractions,
        returns, costs, actions, step_costs, poses,
    )  # fmt: skip


def at_thresholds(search: Search, thresholds: Sequence[float], settings: PlannerSettings) -> Tensor:
    """The sequences [D, H, A] that the search's last update would have made at other d0 [D].

    From the same candidates. A whole search at that d0 would have drawn others; how far the two
    agree on the drift car stands in docs/decisions/planning.md.
    """
    found = []
    for d0 in thresholds:
        weights = weighting.weigh(search.scores, dataclasses.replace(settings, d0=d0))
        mean = (weights[:, None, None] * search.candidates).sum(dim=0)
        found.append(torch.lerp(search.mean, mean, settings.mean_update))
    return torch.stack(found)


def thinned(candidates: Tensor, num: int) -> Tensor:
    """At most `num` of candidates [N, H, A], evenly spread; the actor's come first among them."""
    total = len(candidates)
    index = torch.linspace(0, total - 1, min(num, total), device=candidates.device)
    return candidates[index.round().long()]


def _futures(
    agent: Agent, search: Search, sequences: Tensor, settings: PlannerSettings
) -> dict[str, Tensor]:
    """Sequences [M, H, A] rolled out from where the search was, in the noise that it met."""
    rollout = agent.planner.rollout
    found = rollout.evaluate(search.state, sequences, search.noise, settings)
    horizon, models, _, size = found.path.shape
    path = found.path.view(horizon, models, len(sequences), -1, size)
    worst = found.step_costs.view(path.shape[:-1]).amax(dim=(1, 3))
    starts = search.state.expand(1, len(sequences), size)
    return {
        'returns': found.scores.returns,
        'costs': found.scores.costs,
        'step_costs': worst.T,
        'states': torch.cat((starts, path.mean(dim=(1, 3)))).transpose(0, 1),
    }


def _first(sequences: Tensor) -> Array:
    return sequences[:, 0].double().cpu().numpy()
