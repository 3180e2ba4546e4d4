# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far to plan: the model's error against the value's over the horizon (Theorem 1), measured.

A longer plan trusts the value less and the model more. On driven episodes both shares are known:
how wrong the predicted return of the executed actions was, how much of that came from the H
modelled steps, and how much from the value at their end.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.cli import evaluate, plots, run_log, tables
from loop_ros.planning.rollout import Rollout
from loop_ros.runner import Episode
from loop_ros.settings import PlannerSettings

Row = dict[str, Any]
DRIVEN = ('mean_return', 'std_return', 'mean_cost', 'plan_hz')  # of what `evaluate` says


class Recorded(NamedTuple):
    """An episode of T steps as the networks see it."""

    state: Tensor  # [T+1, S]
    action: Tensor  # [T, A], in [-1, 1]
    reward: Tensor  # [T]
    to_go: Tensor  # [T], the discounted return that followed

    @classmethod
    def of(cls, episode: Episode, rollout: Rollout, settings: PlannerSettings) -> Self:
        """What a time limit cut off counts as the value of the last state."""
        task, device = rollout.task, rollout.device
        state = task.encode(torch.as_tensor(np.array(episode.observations))).float().to(device)
        actions = np.asarray(task.normalize_action(np.array([p.action for p in episode.plans])))
        reward = torch.tensor(episode.rewards, dtype=torch.float32, device=device)
        ended = task.termination is not None and bool(task.termination(state[-1]))
        cut = settings.terminal_value != 'none' and not ended
        last = float(rollout.value(state[None, -1:], settings)) if cut else 0.0
        to_go = torch.empty_like(reward)
        for t in range(len(reward) - 1, -1, -1):
            last = float(reward[t]) + settings.discount * last
            to_go[t] = last
        return cls(state, torch.as_tensor(actions, dtype=torch.float32).to(device), reward, to_go)


@torch.inference_mode()
def errors(rollout: Rollout, settings: PlannerSettings, episodes: list[Recorded]) -> Row:
    """Mean absolute errors of predicted returns, in units of return, over all starts of episodes.

    `total` is that of the prediction for the H executed actions and the value after them;
    `model` is the difference that the true path makes to it; `value` is what is then left. All are
    around their means, since what all plans get wrong alike changes no choice among them; `bias`
    is the mean of predicted minus real. `state` is the root mean square error of the H-th state,
    in standard deviations of the states. Empty where no episode is as long as the horizon.
    """
    horizon, settings = settings.horizon, dataclasses.replace(settings, pessimism=0.0)
    rollout.refresh(settings)
    spread = torch.cat([episode.state for episode in episodes]).std(dim=0).clamp(min=1e-6)
    parts: list[tuple[Tensor, ...]] = []
    for episode in episodes:
        count = len(episode.reward) - horizon + 1
        if count < 1:
            continue
        start = episode.state[:count]
        sequences = episode.action.unfold(0, horizon, 1).transpose(1, 2)  # [n, H, A]
        path = episode.state[1:].unfold(0, horizon, 1).permute(2, 0, 1)  # [H, n, S]
        rewards = episode.reward.unfold(0, horizon, 1).T  # [H, n]
        found = rollout.evaluate(start, sequences, None, settings)
        true = rollout.returns(
            start, sequences.transpose(0, 1), path[:, None], rewards[:, None], settings
        )[0]
        apart = ((found.path[-1].mean(dim=0) - path[-1]) / spread).square().mean(dim=1)
        parts.append((found.scores.returns, true, episode.to_go[:count], apart))
    if not parts:
        return {}
    predicted, true, came, apart = (torch.cat(column) for column in zip(*parts, strict=True))
    return {
        'starts': len(predicted),
        'state': math.sqrt(float(apart.mean())),
        'model': _deviation(predicted - true),
        'value': _deviation(true - came),
        'total': _deviation(predicted - came),
        'bias': float((predicted - came).mean()),
    }


def _deviation(errors: Tensor) -> float:
    return float((errors - errors.mean()).abs().mean())


def run(agent: Agent, horizons: list[int], episodes: int, seed: int, out: Path) -> Row:
    """The same starts driven under each horizon: a table, and horizon.json and .png in `out`.

    Errors of all horizons are measured on the episodes of the agent's own one, whose policy the
    value is of. ValueError for an agent that plans nothing.
    """
    planner = agent.settings.planner
    if planner.algorithm == 'actor':
        raise ValueError('an actor without a planner has no horizon; choose a planner.algorithm')
    driven: dict[int, list[Episode]] = {}
    for horizon in sorted({*horizons, planner.horizon}):
        agent.configure(dataclasses.replace(planner, horizon=horizon))
        driven[horizon] = evaluate.drive(agent, episodes, seed, f'H = {horizon}')
    rollout = agent.planner.rollout
    with torch.inference_mode():
        recorded = [Recorded.of(each, rollout, planner) for each in driven[planner.horizon]]
    rows: list[Row] = []
    for horizon, each in driven.items():
        found = errors(rollout, dataclasses.replace(planner, horizon=horizon), recorded)
        summary = evaluate.summarize(agent, each)
        driven_so = {name: summary[name] for name in DRIVEN}
        rows.append({'horizon': horizon, **found, **driven_so})
    agent.configure(planner)
    result = {
        'task': agent.task.name,
        'planner': dataclasses.asdict(planner),
        'episodes': episodes,
        'seed': seed,
        'horizons': rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    run_log.write_json(out / 'horizon.json', result)
    plots.horizon(rows, planner.horizon, out / 'horizon.png')
    return result


def show(result: Row) -> None:
    """The horizons as a table, and which has the smallest error of its predicted returns."""
    rows = result['horizons']
    names = {
        'state': 'state error',
        'model': 'by model',
        'value': 'by value',
        'total': 'error',
        'bias': 'bias',
        'mean_return': 'return',
        'std_return': 'std',
        'mean_cost': 'cost',
    }
    columns = {'H': [str(row['horizon']) for row in rows]}
    for name, heading in names.items():
        columns[heading] = [f'{row[name]:.3g}' if name in row else '-' for row in rows]
    tables.show(f'{result["task"]}, {result["episodes"]} episodes each', columns)
    measured = [row for row in rows if 'total' in row]
    if measured:
        surest = min(measured, key=lambda row: row['total'])
        best = max(rows, key=lambda row: row['mean_return'])
        print(
            f'Returns are predicted best with H = {surest["horizon"]}; '
            f'the highest return was driven with H = {best["horizon"]}.'
        )
