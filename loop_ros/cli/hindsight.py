# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How much more was possible: the best actions from the same starts, found in hindsight.

Where returns stay below a wish, the robot may allow no more. Of the first steps of each driven
episode, a search in the true dynamics looks for actions that return more at no more cost. It knows
all that follows, and may take its time: what it finds is near what is possible. It finds a local
best, round what was driven, so the true limit may be higher.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.cli import evaluate, tables
from loop_ros.planning.true_dynamics import TrueDynamics
from loop_ros.progress import track
from loop_ros.runner import Episode

SEQUENCES, ELITES, ITERATIONS = 400, 30, 60
SPREADS = (0.3, 0.1)  # of actions in [-1, 1]: of a wide search, then of one round its best
LEAST_SPREAD = 0.003  # below which an iteration has nothing new to try
SHARE = 0.7  # of the elites in the next mean and spread


def run(agent: Agent, episodes: int, seed: int, steps: int) -> dict[str, Any]:
    """Driven and best return of the first `steps` steps of episodes from seed, seed + 1 ...

    ValueError where the task has no true dynamics to search in.
    """
    model = evaluate.true_dynamics(agent)
    driven = evaluate.drive(agent, episodes, seed, 'drive')
    generator = torch.Generator().manual_seed(seed)
    found = [best(model, agent, episode, steps, generator) for episode in track(driven, 'search')]
    return {
        'task': agent.task.name,
        'algorithm': agent.settings.planner.algorithm,
        'episodes': episodes,
        'seed': seed,
        'steps': steps,
        'driven': [float(np.sum(episode.rewards[:steps])) for episode in driven],
        'best': found,
        'rest': [float(np.sum(episode.rewards[steps:])) for episode in driven],
    }


@torch.inference_mode()
def best(
    model: TrueDynamics, agent: Agent, episode: Episode, steps: int, generator: torch.Generator
) -> float:
    """The largest return found of the first steps of an episode, at no more than its cost.

    By the cross-entropy method on whole sequences of actions, from those that were driven.
    """
    task, plans = agent.task, episode.plans[:steps]
    state = task.encode(torch.as_tensor(episode.observations[0])).float()
    actions = np.array([task.normalize_action(plan.action) for plan in plans])
    sequence = torch.as_tensor(actions, dtype=torch.float32)  # [T, A]
    found, allowed = (float(value) for value in _judge(model, agent, state, sequence[None]))
    for width in SPREADS:
        mean, spread = sequence, torch.full_like(sequence, width)
        for _ in range(ITERATIONS):
            noise = torch.randn(SEQUENCES, *sequence.shape, generator=generator)
            tried = (mean + spread * noise).clamp(-1.0, 1.0)
            returns, costs = _judge(model, agent, state, tried)
            returns = torch.where(costs <= allowed, returns, -torch.inf)
            order = returns.argsort(descending=True)[:ELITES]
            if float(returns[order[0]]) > found:
                found, sequence = float(returns[order[0]]), tried[order[0]]
            elites = tried[order[returns[order].isfinite()]]
            if len(elites) > 1:
                mean = torch.lerp(mean, elites.mean(dim=0), SHARE)
                spread = torch.lerp(spread, elites.std(dim=0), SHARE) + LEAST_SPREAD
    return found


def _judge(
    model: TrueDynamics, agent: Agent, state: Tensor, sequences: Tensor
) -> tuple[Tensor, Tensor]:
    """Sums of rewards and of costs [N] of sequences [N, T, A], without a discount."""
    path, rewards, costs = model.roll(state, sequences.transpose(0, 1), None)
    costs = agent.planner.rollout.step_cost(path, costs, agent.settings.planner)
    return rewards.sum(dim=0)[0], costs.sum(dim=0)[0]


def show(result: dict[str, Any]) -> None:
    """Driven against best, as a table of means."""
    names = {'driven': 'driven', 'best': 'best in hindsight', 'rest': 'driven after them'}
    columns = {'of': [f'the first {result["steps"]} steps']}
    columns |= {text: [tables.figure(float(np.mean(result[n])))] for n, text in names.items()}
    tables.show(f'{result["task"]}, {result["episodes"]} episodes', columns)
