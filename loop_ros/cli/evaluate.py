# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes with a trained agent, and the same under several thresholds d0."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.cli import run_log, tables
from loop_ros.planning.true_dynamics import TrueDynamics
from loop_ros.progress import track
from loop_ros.runner import Episode, run_episode
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.task import Task


def load_agent(
    task_name: str,
    name: str,
    profile: str | None,
    overrides: dict[str, Any],
    device: str,
    seed: int,
) -> Agent:
    """An agent from 'shipped' or a checkpoint folder, planning as its profile and overrides say."""
    task = registry.task(task_name)
    path = checkpoint.resolve(name, task.name)
    if path is None:
        raise ValueError('an untrained agent cannot be evaluated; name a checkpoint')
    settings = Settings.for_task(task, profile) if profile else None
    agent = Agent.load(path, task, device, seed, settings, resume=False)
    agent.configure(agent.settings.replace(overrides).planner)
    return agent


def true_dynamics(agent: Agent) -> TrueDynamics:
    """The dynamics of the agent's environment.

    ValueError where the environment has no `predict`, or the cost is a learned one.
    """
    task = agent.task
    env = task.make()
    predict = getattr(env.unwrapped, 'predict', None)
    # A wrapper that adds to observations knows what the simulation itself does not.
    if predict is None or env.observation_space != env.unwrapped.observation_space:
        raise ValueError(f"true dynamics: the environment of task '{task.name}' has no predict()")
    if task.cost is None or agent.settings.planner.cost_source != 'known':
        raise ValueError('true dynamics: they predict no cost; needs planner.cost_source=known')
    return TrueDynamics(task, predict)


def drive(
    agent: Agent, episodes: int, seed: int, label: str, robots: Sequence[Task] = ()
) -> list[Episode]:
    """Episodes of the agent's task, of each of `robots` in turn; episode i starts from seed + i."""
    envs = [robot.make() for robot in robots or [agent.task]]
    return [
        run_episode(envs[index % len(envs)], agent, index, seed=seed + index)
        for index in track(range(episodes), label)
    ]


def evaluate(agent: Agent, episodes: int, seed: int) -> dict[str, Any]:
    """Mean metrics over episodes; costs are the environment's own."""
    return summarize(agent, drive(agent, episodes, seed, 'evaluate'))


def summarize(agent: Agent, driven: list[Episode]) -> dict[str, Any]:
    """Mean metrics of driven episodes."""
    rows = [episode.row(agent.task) for episode in driven]
    returns = np.array([row['return'] for row in rows])
    plan_s = [plan.plan_s for episode in driven for plan in episode.plans if plan.iterations]
    names = [name for name in rows[0] if name.startswith('mean_') or name == 'planner_cost']
    return {
        'task': agent.task.name,
        'algorithm': agent.settings.planner.algorithm,
        'd0': agent.settings.planner.d0,
        'episodes': len(rows),
        'mean_return': float(returns.mean()),
        'std_return': float(returns.std()),
        'min_return': float(returns.min()),
        'mean_cost': float(np.mean([row['cost'] for row in rows])),
        'max_cost': float(np.max([row['cost'] for row in rows])),
        'worst_predicted_cost': max(
            (plan.worst_cost for e in driven for plan in e.plans if plan.predicted),
            default=math.nan,
        ),
        'safe_fraction': float(np.mean([row['safe_fraction'] for row in rows])),
        **{name: float(np.mean([row[name] for row in rows])) for name in names},
        'actor_divergence': float(np.mean([row['actor_divergence'] for row in rows])),
        'returns': [row['return'] for row in rows],
        'costs': [row['cost'] for row in rows],
        'plan_hz': float(1.0 / np.mean(plan_s)) if plan_s else math.nan,
        'plan_p99_ms': float(1e3 * np.quantile(plan_s, 0.99)) if plan_s else math.nan,
    }


def sweep(agent: Agent, thresholds: list[float], episodes: int, seed: int, out: Path) -> None:
    """The same starts under each threshold: a table, and sweep.json and sweep.png in `out`."""
    from loop_ros.cli import plots

    out.mkdir(parents=True, exist_ok=True)
    results, lines = [], []
    for number, d0 in enumerate(thresholds, 1):
        agent.configure(dataclasses.replace(agent.settings.planner, d0=d0))
        driven = drive(agent, episodes, seed, f'd0 {d0:g}, {number} of {len(thresholds)}')
        results.append(summarize(agent, driven))
        lines.append(driven)
    show(results)
    run_log.write_json(out / 'sweep.json', results)
    lines = lines if plots.has_lines(agent.task) else []
    plots.sweep(results, lines, agent.task, out / 'sweep.png')


def show(results: list[dict[str, Any]]) -> None:
    """Print what people ask for first, as a table."""
    columns = {
        'algorithm': 'planner',
        'd0': 'd0',
        'mean_return': 'return',
        'std_return': 'std',
        'mean_cost': 'cost',
        'max_cost': 'most',
        'worst_predicted_cost': 'predicted',
    }
    listed = ('mean_return', 'mean_cost')
    metrics = [name for name in results[0] if name.startswith('mean_') and name not in listed]
    columns.update({name: name.removeprefix('mean_') for name in metrics})
    columns['plan_hz'] = 'plans/s'
    title = f'{results[0]["task"]}, {results[0]["episodes"]} episodes'
    shown = {
        heading: [tables.figure(result[name]) for result in results]
        for name, heading in columns.items()
        if name in results[0]
    }
    tables.show(title, shown, keys=2)
