# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Predicted worst cost against what then happened, over d0 and disturbances of the robot."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, TaskID

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.cli import plots, run_log, tables
from loop_ros.progress import bars
from loop_ros.runner import Episode, cost_ahead, run_episode
from loop_ros.settings import PlannerSettings
from loop_ros.sim import disturbed
from loop_ros.sim.disturbed import Disturbance
from loop_ros.types import Array

Row = dict[str, Any]
Mask = NDArray[np.bool_]
Share = tuple[float | None, float | None, float | None]
CONFIDENCE = 1.96  # standard deviations: 95 %
ROUNDING = 1e-4  # of a cost that was added up in float32


class Windows(NamedTuple):
    """The next H steps from each of W steps: what their plans promised, and what happened."""

    episode: NDArray[np.int64]  # [W], its number
    predicted: Array  # [W], worst cost of the plan made at the step
    realised: Array  # [W], cost of the states that followed, as the planner counts it
    charged: Array  # [W], the simulator's own signal
    none_safe: Mask  # [W], whether no candidate of the last iteration was safe


def windows(episode: Episode, states: list[Array], agent: Agent) -> Windows:
    """All windows of an episode with true observations [T+1] of [O]; the last H-1 steps have none.

    Both costs are discounted as in a plan. What happened is what the controller did, which plans
    again at each step, not the one sequence that was judged.
    """
    settings, task = agent.settings.planner, agent.task
    charged = own = np.array(episode.costs)
    if settings.cost_source == 'known' and task.cost is not None:
        own = task.cost(task.encode(torch.as_tensor(np.array(states[1:])))).numpy()
    realised = cost_ahead(own, settings)
    count = len(realised)
    plans = episode.plans[:count]
    return Windows(
        np.full(count, episode.index),
        np.array([plan.worst_cost for plan in plans]),
        realised,
        cost_ahead(charged, settings),
        np.array([plan.safe_fraction == 0 for plan in plans], dtype=bool),
    )


def share(hits: Mask, of: Mask, episode: NDArray[np.int64], horizon: int) -> Share:
    """The share of `hits` among the windows `of`, both masks [W], and its 95 % interval.

    Wilson's, for as many windows as are worth independent ones: their number over the design
    effect, by which windows of one episode resemble each other more than those of others do. It is
    no less than H, since H windows in a row share their steps. None where there is no window.
    """
    counts = np.bincount(episode[of])
    found, counts = np.bincount(episode[of], hits[of])[counts > 0], counts[counts > 0]
    total, episodes = int(counts.sum()), len(counts)
    if total == 0:
        return None, None, None
    p = float(found.sum()) / total
    effect = float(horizon)
    if 0 < p < 1 and episodes > 1:
        between = float(((found - p * counts) ** 2).sum()) * episodes / (episodes - 1)
        effect = max(effect, between / (p * (1 - p) * total))
    n, z2 = max(1.0, total / effect), CONFIDENCE**2
    middle = p + z2 / (2 * n)
    half = CONFIDENCE * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    low, high = (middle - half) / scale, (middle + half) / scale
    return p, max(0.0, min(p, low)), min(1.0, max(p, high))


def metrics(found: Windows, d0: float, horizon: int) -> Row:
    """What became of the promises of one condition, by name; ValueError without a window."""
    if len(found.predicted) == 0:
        raise ValueError(f'no episode was as long as the {horizon} steps of a plan')
    promised = found.predicted <= d0 + ROUNDING
    over = found.realised > d0 + ROUNDING

    def among(hits: Mask, of: Mask) -> Share:
        return share(hits, of, found.episode, horizon)

    broken, low, high = among(over, promised)
    return {
        'windows': len(promised),
        'promised': float(promised.mean()),
        'broken': broken,
        'broken_low': low,
        'broken_high': high,
        'broken_own': among(found.charged > d0 + ROUNDING, promised)[0],
        'refused_held': among(~over, ~promised)[0],
        'exceeded': float((found.realised > found.predicted + ROUNDING).mean()),
        'none_safe': float(found.none_safe.mean()),
        'largest': float(found.realised.max()),
        'reliability': _reliability(found),
    }


def _reliability(found: Windows) -> list[Row]:
    """Mean predicted and realised cost of the windows in bins (k-1, k] of the prediction."""
    bins = np.ceil(found.predicted - ROUNDING)
    rows = []
    for k in np.unique(bins[np.isfinite(bins)]):  # inf: a rollout that diverged
        inside = bins == k
        rows.append(
            {
                'predicted': float(found.predicted[inside].mean()),
                'realised': float(found.realised[inside].mean()),
                'windows': int(inside.sum()),
            }
        )
    return rows


class Calibration:
    """Conditions driven one after the other; each is written as soon as it is known."""

    def __init__(
        self,
        agent: Agent,
        disturbances: list[Disturbance],
        thresholds: list[float],
        episodes: int,
        seed: int,
        out: Path,
    ) -> None:
        """Episode i of each condition starts from seed + i, and plans draw the same numbers."""
        if agent.settings.planner.algorithm == 'actor':
            raise ValueError(
                'an actor without a planner predicts no cost; choose a planner.algorithm'
            )
        self.agent, self.episodes, self.seed, self.out = agent, episodes, seed, out
        self.worlds = {d: disturbed.make(agent.task, d) for d in disturbances}
        planner = agent.settings.planner
        self.settings = [dataclasses.replace(planner, d0=d0) for d0 in thresholds]
        self.result: Row = {
            'task': agent.task.name,
            'algorithm': planner.algorithm,
            'horizon': planner.horizon,
            'discount': planner.discount,
            'seed': seed,
            'conditions': [],
        }

    def run(self) -> Row:
        """All conditions, or those until Ctrl-C; calibration.csv, .json and .png in `out`."""
        self.out.mkdir(parents=True, exist_ok=True)
        steps = len(self.worlds) * len(self.settings) * self.episodes
        try:
            with bars() as progress:
                bar = progress.add_task('', total=steps, metrics='')
                for disturbance in self.worlds:
                    for settings in self.settings:
                        self._add(self._condition(disturbance, settings, progress, bar))
        except KeyboardInterrupt:
            Console(stderr=True).print('interrupted; the conditions driven so far are kept')
        if self.result['conditions']:
            plots.calibration(self.result['conditions'], self.out / 'calibration.png')
        return self.result

    def _condition(
        self, disturbance: Disturbance, settings: PlannerSettings, bar: Progress, task: TaskID
    ) -> Row:
        agent, env = self.agent, self.worlds[disturbance]
        agent.configure(settings)
        agent.planner.generator.manual_seed(self.seed)
        bar.update(task, description=f'{disturbance}, d0 {settings.d0:g}')
        found, driven = [], []
        for index in range(self.episodes):
            episode = run_episode(env, agent, index, seed=self.seed + index)
            found.append(windows(episode, env.states, agent))
            driven.append(episode)
            bar.advance(task)
        joined = Windows(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
        return {
            'disturbance': str(disturbance),
            'd0': settings.d0,
            'episodes': len(driven),
            **metrics(joined, settings.d0, settings.horizon),
            'return': float(np.mean([sum(episode.rewards) for episode in driven])),
            'cost': float(np.mean([sum(episode.costs) for episode in driven])),
        }

    def _add(self, row: Row) -> None:
        rows = self.result['conditions']
        rows.append(row)
        run_log.write_json(self.out / 'calibration.json', self.result)
        text = io.StringIO()
        names = [name for name in row if name != 'reliability']
        writer = csv.DictWriter(text, names, extrasaction='ignore', lineterminator='\n')
        writer.writeheader()
        for each in rows:
            writer.writerow({n: f'{v:.6g}' if isinstance(v, float) else v for n, v in each.items()})
        checkpoint.replace_file(self.out / 'calibration.csv', text.getvalue().encode())


def show(result: Row) -> None:
    """The conditions as a table, shares in percent."""
    rows = result['conditions']
    title = f'{result["task"]}, {rows[0]["episodes"]} episodes each' if rows else result['task']

    def shares(name: str) -> list[str]:
        return [percent(row[name]) for row in rows]

    ends = zip(shares('broken_low'), shares('broken_high'), strict=True)
    columns = {
        'disturbance': [row['disturbance'] for row in rows],
        'd0': [f'{row["d0"]:g}' for row in rows],
        'promised': shares('promised'),
        'broken': shares('broken'),
        'of these': [f'{low} to {high}' for low, high in ends],
        'refused, held': shares('refused_held'),
        'exceeded': shares('exceeded'),
        'none safe': shares('none_safe'),
        **{n: [tables.figure(row[n]) for row in rows] for n in ('largest', 'return', 'cost')},
    }
    tables.show(title, columns, keys=2)


def percent(value: float | None) -> str:
    """A share as text, in percent; '-' for None."""
    return '-' if value is None else f'{100 * value:.1f}'
