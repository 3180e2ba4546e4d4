# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay comes to: metrics of episodes together, and where actions differ most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loop_ros.agent import Agent
from loop_ros.cli.replay_episodes import Replayed, predicts
from loop_ros.types import Array, Flags

DIFFERENT = 0.25  # of the range of an action
NO_COST = 0.01  # what a learned cost may say where there is none


@dataclass(frozen=True)
class Difference:
    """A recorded step in which the plan is far from what was done."""

    episode: Replayed
    row: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `share` is of the action's range."""
        episode, row = self.episode, self.row
        return {
            'episode': episode.number,
            'step': int(episode.step[row]),
            'time_s': float(episode.time[row]),
            'distance': float(episode.distance[row]),
            'share': float(episode.difference[row].max()),
            'recorded': episode.recorded[row].tolist(),
            'planned': episode.planned[row].tolist(),
        }


@dataclass(frozen=True)
class Replay:
    """Replayed episodes, the agent that planned them again, and where they come from."""

    agent: Agent
    checkpoint: str
    bags: list[Path]
    episodes: list[Replayed]
    largest: list[Difference]
    read: str  # what was found in the bags
    command: str

    def metrics(self) -> dict[str, Any]:
        """Metrics of all episodes together, with what they depend on."""
        planner = self.agent.settings.planner
        return {
            'task': self.agent.task.name,
            'algorithm': planner.algorithm,
            'd0': planner.d0,
            'horizon': planner.horizon,
            **metrics(self.episodes),
            'over_d0': beyond(self.episodes, planner.d0),
        }

    def rows(self) -> list[tuple[str, str]]:
        """The metrics as names and texts, for a table."""
        found = self.metrics()
        differ = f'{found["different"]:,} of {found["plans"]:,}'
        rows = [
            (
                f'plans over {DIFFERENT:g} of a range from what was done',
                f'{differ} ({found["different_share"]:.1%})',
            ),
            ('mean distance of actions in [-1, 1]', f'{found["mean_distance"]:.3f}'),
            ('recorded return, an episode', f'{found["recorded_return"]:.2f}'),
            ('recorded cost, an episode', f'{found["recorded_cost"]:.2f}'),
        ]
        if predicts(self.agent):
            rows += self._predicted(found)
        return rows

    def _predicted(self, found: dict[str, Any]) -> list[tuple[str, str]]:
        d0, plans = found['d0'], found['plans']
        error, apart = _number(found['model_error']), _number(found['model_spread'])
        rows = [
            (
                'steps with cost where the plan predicts none',
                f'{found["costly_predicted_free"]:,} of {found["costly"]:,}',
            ),
            (
                f'cost within {found["horizon"]} steps where it predicts none',
                f'{found["costly_ahead_predicted_free"]:,} of {found["costly_ahead"]:,}',
            ),
            ('worst predicted cost of a plan', _number(found['worst_predicted_cost'])),
            (f'plans that predict more than d0 = {d0:g}', f'{found["over_d0"]:,} of {plans:,}'),
            ('steps with a safe sequence', _share(found['with_safe_share'])),
            ('safe sequences, mean share', _share(found['safe_fraction'])),
            ('predicted return of a plan, mean', _number(found['predicted_return'])),
            ('model error, standard deviations', f'{error}, models {apart} apart'),
        ]
        if found['diverged']:
            rows.append(('plans whose predictions diverge', f'{found["diverged"]:,} of {plans:,}'))
        return rows


def metrics(episodes: list[Replayed]) -> dict[str, float | None]:
    """Counts are of steps with a plan, but for the recorded ones; None where nothing says."""

    def joined(values: Callable[[Replayed], Array]) -> Array:
        return np.concatenate([values(episode) for episode in episodes])

    planned = np.concatenate([episode.has_plan for episode in episodes])
    different = np.concatenate([is_different(episode) for episode in episodes])
    worst = joined(lambda e: e.worst_cost)
    safe = joined(lambda e: e.safe_fraction)
    costly = (joined(lambda e: e.cost) > 0) & planned
    ahead = (joined(lambda e: e.cost_ahead) > 0) & planned
    known = np.isfinite(worst)
    says = bool(known.any())
    return {
        'episodes': len(episodes),
        'steps': len(planned),
        'plans': int(planned.sum()),
        'recorded_return': float(np.mean([e.reward.sum() for e in episodes])),
        'recorded_cost': float(np.mean([e.cost.sum() for e in episodes])),
        'different': int(different.sum()),
        'different_share': float(different.sum() / planned.sum()),
        'mean_distance': float(np.nanmean(joined(lambda e: e.distance))),
        'costly': int(costly.sum()),
        'costly_predicted_free': int((costly & (worst <= NO_COST)).sum()) if says else None,
        'costly_ahead': int(ahead.sum()),
        'costly_ahead_predicted_free': int((ahead & (worst <= NO_COST)).sum()) if says else None,
        'worst_predicted_cost': _of(np.max, worst),
        'mean_predicted_cost': _of(np.mean, worst),
        'predicted_return': _of(np.mean, joined(lambda e: e.predicted_return)),
        'with_safe_share': float((safe[known] > 0).mean()) if says else None,
        'safe_fraction': _of(np.mean, safe),
        'model_error': _rms(joined(lambda e: e.model_error)),
        'model_spread': _rms(joined(lambda e: e.model_spread)),
        'diverged': sum(episode.diverged for episode in episodes),
    }


def beyond(episodes: list[Replayed], d0: float) -> int:
    """Plans that predict more cost than the threshold."""
    return int(sum((episode.worst_cost > d0).sum() for episode in episodes))


def is_different(episode: Replayed) -> Flags:
    """In which steps [T] an action is off by more than a quarter of its range."""
    with np.errstate(invalid='ignore'):
        return np.asarray((episode.difference > DIFFERENT).any(axis=1))


def largest_differences(episodes: list[Replayed], count: int, apart: int) -> list[Difference]:
    """The largest differences, the first the largest; of those less than `apart` steps apart one.

    Actions that are equal are no difference.
    """
    every = [
        Difference(episode, int(row))
        for episode in episodes
        for row in np.flatnonzero(episode.has_plan & (episode.distance > 0))
    ]
    every.sort(key=lambda found: -float(found.episode.distance[found.row]))
    kept: list[Difference] = []
    taken = {episode.number: np.zeros(len(episode.step), dtype=bool) for episode in episodes}
    for found in every:
        if len(kept) == count:
            break
        rows = taken[found.episode.number]
        if not rows[found.row]:
            rows[max(0, found.row - apart + 1) : found.row + apart] = True
            kept.append(found)
    return kept


def _of(statistic: Callable[[Array], Any], values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(statistic(known)) if len(known) else None


def _rms(values: Array) -> float | None:
    return _of(lambda known: np.sqrt(np.mean(known**2)), values)


def _number(value: float | None) -> str:
    return '–' if value is None else f'{value:.4g}'


def _share(value: float | None) -> str:
    return '–' if value is None else f'{value:.1%}'
