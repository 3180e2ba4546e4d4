# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to expect of a trained agent before a robot moves, from its data alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.learning.fitted_q import FittedQ, Value
from loop_ros.learning.offline_data import OfflineData, rows_of
from loop_ros.settings import PlannerSettings

# What the paper searched (appendix C.3).
HORIZONS = (2, 4, 10)
PESSIMISMS = (0.0, 0.5, 1.0, 5.0)
INVERSE_TEMPERATURES = (0.01, 0.03, 0.1, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Effort:
    """How much an evaluation looks at."""

    states: int = 1000  # transitions that fitted Q evaluation learns from; a plan each
    starts: int = 100  # held-out start states
    sequences: int = 32  # candidates of each plan
    steps: int = 200  # of imagined episodes
    members: int = 4
    features: int = 256


@torch.no_grad()
def evaluate(
    agent: Agent, data: OfflineData, held_out: Tensor, seed: int = 0, effort: Effort | None = None
) -> dict[str, Any]:
    """Model error, imagined episodes, fitted Q evaluation and recommended planner settings."""
    effort = effort or Effort()
    generator = torch.Generator().manual_seed(seed)
    starts = _starts(data, held_out, effort.starts)
    choice = choose(agent, data, starts, generator, effort)
    return {
        'held_out_episodes': int(data.episode[held_out].unique().numel()),
        'held_out_return': float(data.returns()[data.episode[held_out].unique()].mean()),
        'model_error': model_error(agent, data, held_out, max(HORIZONS), generator),
        'imagined': imagined(agent, starts, effort.steps),
        **choice,
    }


def model_error(
    agent: Agent, data: OfflineData, held_out: Tensor, horizon: int, generator: torch.Generator
) -> list[dict[str, float]]:
    """After 1 to `horizon` recorded actions of held-out episodes, without a look in between.

    `error` of the models' mean state and `spread` of the models, both as root mean squares in
    standard deviations of the data's states; `reward_error` of the reward in its own.
    """
    batch = agent.learner.learnable(data.batch)
    scale = _std(data.batch.state)
    reward_scale = _std(data.batch.reward[:, None])
    rows = held_out.nonzero()[:, 0]
    rows = rows[torch.randperm(len(rows), generator=generator)[:1000]]
    ensemble, device = agent.ensemble, agent.device
    states = batch.state[rows].to(device).expand(ensemble.num_models, -1, -1)
    first, table = data.episode[rows], []
    for step in range(horizon):
        row = rows + step
        inside = row < len(data)
        row = row.clamp(max=len(data) - 1)
        inside &= data.episode[row] == first
        if not bool(inside.any()):
            break
        action = batch.action[row].to(device).expand(ensemble.num_models, -1, -1)
        predicted = ensemble.predict(states, action)
        states = predicted.next_state
        mean = states.mean(dim=0).cpu()
        spread = states.std(dim=0, correction=0).cpu()
        reward = predicted.reward.mean(dim=0).cpu()
        table.append(
            {
                'step': float(step + 1),
                'error': _rms(((mean - batch.next_state[row]) / scale)[inside]),
                'spread': _rms((spread / scale)[inside]),
                'reward_error': _rms(
                    ((reward - batch.reward[row])[:, None] / reward_scale)[inside]
                ),
            }
        )
    return table


def imagined(agent: Agent, starts: Tensor, steps: int) -> dict[str, float]:
    """Episodes of the actor in each model's mean, from states [B, S]; sums without discount.

    `spread` is the standard deviation over models of the mean return, `worst_cost` the largest cost
    of any episode in any model.
    """
    ensemble, task = agent.ensemble, agent.task
    steps = min(steps, task.max_episode_steps)
    states = starts.to(agent.device).expand(ensemble.num_models, -1, -1)
    returns = torch.zeros(states.shape[:2], device=agent.device)
    costs, alive = torch.zeros_like(returns), torch.ones_like(returns)
    for _ in range(steps):
        predicted = ensemble.predict(states, agent.actor.act(states, _no_noise(agent, states)))
        states = predicted.next_state
        known = agent.settings.planner.cost_source == 'known' and task.cost is not None
        cost = task.cost(states) if known and task.cost else predicted.cost.clamp(min=0.0)
        returns, costs = returns + alive * predicted.reward, costs + alive * cost
        if task.termination is not None:
            alive = alive * (~task.termination(states)).to(alive.dtype)
    by_model = returns.mean(dim=1)
    return {
        'steps': float(steps),
        'return': float(by_model.mean()),
        'spread': float(by_model.std(correction=0)),
        'mean_cost': float(costs.mean()),
        'worst_cost': float(costs.max()),
    }


def choose(
    agent: Agent,
    data: OfflineData,
    starts: Tensor,
    generator: torch.Generator,
    effort: Effort,
) -> dict[str, Any]:
    """Fitted Q evaluation of the actor and of plans by each of the paper's settings.

    Recommended is what has the highest value less its spread; where that is the actor itself, the
    plans' gain is not certain.
    """
    index = torch.randperm(len(data), generator=generator)[: effort.states]
    batch = rows_of(data.batch, index)
    discount = agent.settings.sac.discount
    seed = int(torch.randint(2**31, (), generator=generator))
    fitted = FittedQ(batch, discount, effort.members, effort.features, seed)
    states = torch.cat((batch.next_state, starts)).to(agent.device)

    def row(action: Tensor, **chosen: Any) -> dict[str, Any]:
        value = fitted.value(action[: len(batch.reward)], starts, action[len(batch.reward) :])
        return {**chosen, **_figures(value)}

    actor = row(agent.actor.mean(states).cpu())
    candidates, plans = [], {}
    for horizon in HORIZONS:
        scored = _Scored(agent, states, horizon, effort.sequences, generator)
        plans[str(horizon)] = scored.of_starts(len(starts), agent.settings.planner)
        for pessimism in PESSIMISMS:
            for inverse in INVERSE_TEMPERATURES:
                action = scored.action(pessimism, 1.0 / inverse).cpu()
                candidates.append(
                    row(action, horizon=horizon, pessimism=pessimism, temperature=1.0 / inverse)
                )
    best = max(candidates, key=lambda found: found['lower'])
    names = ('horizon', 'pessimism', 'temperature')
    return {
        'plans': plans,
        'actor': actor,
        'candidates': candidates,
        'recommended': {f'planner.{name}': best[name] for name in names},
        'recommended_value': {name: best[name] for name in ('value', 'spread', 'lower')},
        'better_than_actor': best['lower'] > actor['value'] + actor['spread'],
    }


class _Scored:
    """Proposals from many states at once, and what the models say of them."""

    def __init__(
        self, agent: Agent, states: Tensor, horizon: int, num: int, generator: torch.Generator
    ) -> None:
        planner = agent.settings.planner
        settings = dataclasses.replace(planner, horizon=horizon, propagate_noise=False)
        rollout = agent.planner.rollout
        rollout.refresh(settings)
        shape = (len(states), num, horizon, len(agent.task.action_labels))
        noise = torch.randn(shape, generator=generator).to(agent.device)
        self.sequences = rollout.actor_sequences(states, noise, settings)  # [M, n, H, A]
        starts = states.repeat_interleave(num, dim=0)
        flat = self.sequences.flatten(0, 1)
        # Scores are linear in the pessimism: two of them say the mean and the deviation.
        hopeful = rollout(starts, flat, None, dataclasses.replace(settings, pessimism=0.0))
        cautious = rollout(starts, flat, None, dataclasses.replace(settings, pessimism=1.0))
        self.mean = hopeful.returns.view(len(states), num)
        self.std = (hopeful.returns - cautious.returns).view(len(states), num)
        self.costs = hopeful.costs.view(len(states), num)

    def weights(self, pessimism: float, temperature: float) -> Tensor:
        """Of the sequences [M, n], as ARC has them (Eq. 8 and 9)."""
        return torch.softmax((self.mean - pessimism * self.std) / temperature, dim=-1)

    def action(self, pessimism: float, temperature: float) -> Tensor:
        """What would be done in each state [M, A]."""
        weights = self.weights(pessimism, temperature)[..., None]
        return (weights * self.sequences[:, :, 0]).sum(dim=1)

    def of_starts(self, num: int, settings: PlannerSettings) -> dict[str, float]:
        """What the models promise of the last `num` states' plans, under the agent's settings."""
        weights = self.weights(settings.pessimism, settings.temperature)[-num:]
        likely = weights > 1e-3
        return {
            'predicted_return': float((weights * self.mean[-num:]).sum(dim=1).mean()),
            'spread': float((weights * self.std[-num:]).sum(dim=1).mean()),
            'worst_cost': float(torch.where(likely, self.costs[-num:], 0.0).max()),
        }


def _figures(value: Value) -> dict[str, float]:
    return {
        'value': value.mean,
        'spread': value.spread,
        'lower': value.mean - value.spread,
    }


def _starts(data: OfflineData, held_out: Tensor, most: int) -> Tensor:
    """Where held-out episodes begin [B, S]; where none was recorded from its start, anywhere."""
    first = data.first_rows()
    chosen = first[held_out[first] & data.starts_at_zero]
    if len(chosen) == 0:
        chosen = first[held_out[first]]
    return data.batch.state[chosen[:most]]


def _no_noise(agent: Agent, states: Tensor) -> Tensor:
    return states.new_zeros(*states.shape[:-1], len(agent.task.action_labels))


def _std(values: Tensor) -> Tensor:
    std = values.std(dim=0, correction=0)
    return torch.where(std > 1e-6, std, torch.ones_like(std))


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
