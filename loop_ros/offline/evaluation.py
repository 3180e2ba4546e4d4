# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to expect of a trained agent before a robot moves, from its data only."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.models.normalizer import scale
from loop_ros.offline.coverage import Coverage
from loop_ros.offline.data import OfflineData
from loop_ros.offline.fitted_q import FittedQ
from loop_ros.offline.model_episodes import ArcPolicy, Policy, evaluate_in_model
from loop_ros.offline.prediction import roll

# What the paper searched (appendix C.3; 0.4 by Table 4), in the order of the search here.
SEARCH: tuple[dict[str, tuple[float, ...]], ...] = (
    {
        'proposal_std': (0.01, 0.05, 0.1, 0.4),
        'temperature': tuple(1.0 / inverse for inverse in (0.01, 0.03, 0.1, 1.0, 3.0, 10.0)),
    },
    {'horizon': (2, 4, 10)},
    {'pessimism': (0.0, 0.5, 1.0, 5.0)},
)
MOST_TRIED = 1 + sum(math.prod(map(len, grid.values())) for grid in SEARCH)
FARTHEST = max(SEARCH[1]['horizon'])
Tried = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How many samples an evaluation takes; more take longer."""

    states: int = 1000  # transitions that fitted Q evaluation learns from; a plan each
    starts: int = 100  # held-out start states
    model_episodes: int = 8  # starts of episodes in the model; each is driven in every model
    sequences: int = 32  # candidates of each plan
    steps: int = 100  # of an episode in the model
    members: int = 4
    features: int = 256


@torch.no_grad()
def evaluate(
    agent: Agent,
    data: OfflineData,
    held_out: Tensor,
    seed: int = 0,
    effort: Effort | None = None,
    tried: Tried = lambda: None,
) -> dict[str, Any]:
    """What to expect of an agent trained on `data`, by what its training did not see.

    `held_out` [N] marks the transitions of held-out episodes. Returns their number and mean return,
    'model_error' (a row for each step ahead), 'candidates' (planner settings and what they return
    in the model), 'recommended' settings, and 'actor' and 'plans' (by these) in the model and by
    fitted Q evaluation. Where every candidate diverged nothing is recommended. `tried` is called
    before each candidate.
    """
    effort = effort or Effort()
    starts = _starts(data, held_out, effort.starts)
    generator = torch.Generator().manual_seed(seed)
    return {
        'held_out_episodes': int(data.episode[held_out].unique().numel()),
        'held_out_return': float(data.returns()[data.episode[held_out].unique()].mean()),
        'model_error': model_error(agent, data, held_out, int(FARTHEST), generator),
        **choose(agent, data, starts, seed, effort, tried, Coverage(data, held_out, seed)),
    }


def model_error(
    agent: Agent, data: OfflineData, held_out: Tensor, horizon: int, generator: torch.Generator
) -> list[dict[str, float]]:
    """After 1 to `horizon` recorded actions of held-out episodes, without a look in between.

    `error` of the models' mean state and `spread` of the models, both as root mean squares in
    standard deviations of the data's states; `reward_error` of the reward in its own.
    """
    batch = agent.learner.learnable(data.batch)
    state_scale, reward_scale = scale(data.batch.state), scale(data.batch.reward[:, None])
    rows = held_out.nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=generator)[:1000]]
    first, table = data.episode[rows], []
    for step, predicted in enumerate(roll(agent, batch, rows, horizon)):
        row = rows + step
        inside = row < len(data)
        row = row.clamp(max=len(data) - 1)
        inside &= data.episode[row] == first
        if not bool(inside.any()):
            break
        states = predicted.next_state
        mean = states.mean(dim=0).cpu()
        spread = states.std(dim=0, correction=0).cpu()
        reward = predicted.reward.mean(dim=0).cpu()
        table.append(
            {
                'step': float(step + 1),
                'error': _rms(((mean - batch.next_state[row]) / state_scale)[inside]),
                'spread': _rms((spread / state_scale)[inside]),
                'reward_error': _rms(
                    ((reward - batch.reward[row])[:, None] / reward_scale)[inside]
                ),
            }
        )
    return table


def choose(
    agent: Agent,
    data: OfflineData,
    starts: Tensor,
    seed: int,
    effort: Effort,
    tried: Tried,
    coverage: Coverage,
) -> dict[str, Any]:
    """The actor and plans by the paper's settings, in the model from states [B, S].

    Recommended is what has the highest return less its spread over models. Settings are searched
    one after the other, the two that shape a plan most together. Fitted Q evaluation, which asks no
    model, gives a second opinion of the actor and of what is recommended.
    """
    own, steps = agent.settings.planner, min(effort.steps, agent.task.max_episode_steps)
    some = starts[: effort.model_episodes]

    def judged(chosen: dict[str, float]) -> dict[str, float]:
        settings = dataclasses.replace(own, **chosen)  # type: ignore[arg-type]
        tried()
        plans = ArcPolicy(agent, settings, effort.sequences, seed)
        return {**chosen, **evaluate_in_model(agent, plans, some, steps, coverage)}

    best = judged({name: getattr(own, name) for grid in SEARCH for name in grid})
    candidates = [best]
    for grid in SEARCH:
        base = {name: best[name] for each in SEARCH for name in each}
        for values in itertools.product(*grid.values()):
            chosen = {**base, **dict(zip(grid, values, strict=True))}
            if chosen != base:
                candidates.append(judged(chosen))
        best = max(candidates, key=lambda row: -math.inf if row['diverged'] else row['lower'])
    chosen = {name: best[name] for grid in SEARCH for name in grid}
    actor = evaluate_in_model(agent, agent.actor.mean, some, steps, coverage)
    plans = ArcPolicy(agent, dataclasses.replace(own, **chosen), effort.sequences, seed)  # type: ignore[arg-type]
    fitted = _Fitted(agent, data, starts, seed, effort)
    return {
        'steps': float(steps),
        'actor': {**actor, **fitted.value(agent.actor.mean)},
        'candidates': candidates,
        'recommended': {}
        if best['diverged']
        else {f'planner.{name}': value for name, value in chosen.items()},
        'plans': {**best, **fitted.value(plans)},
        'better_than_actor': not best['diverged']
        and not actor['diverged']
        and best['lower'] > actor['return'] + actor['spread'],
    }


class _Fitted:
    """Fitted Q evaluation of policies, from a part of the data and at the starts [B, S]."""

    def __init__(
        self, agent: Agent, data: OfflineData, starts: Tensor, seed: int, effort: Effort
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        index = torch.randperm(len(data), generator=generator)[: effort.states]
        batch = data.batch.take(index)
        discount = agent.settings.off_policy.discount
        self._fitted = FittedQ(batch, discount, effort.members, effort.features, seed)
        self._states = torch.cat((batch.next_state, starts)).to(agent.device)
        self._starts, self._num = starts, len(batch.reward)

    def value(self, policy: Policy) -> dict[str, float]:
        """Its discounted value, and how far the members are apart."""
        action = policy(self._states).cpu()
        value = self._fitted.value(action[: self._num], self._starts, action[self._num :])
        return {'value': value.mean, 'value_spread': value.spread}


def _starts(data: OfflineData, held_out: Tensor, most: int) -> Tensor:
    """Where held-out episodes begin [B, S]; where none was recorded from its start, anywhere."""
    first = data.first_rows()
    chosen = first[held_out[first] & data.starts_at_zero]
    if len(chosen) == 0:
        chosen = first[held_out[first]]
    return data.batch.state[chosen[:most]]


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
