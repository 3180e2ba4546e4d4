# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions from HDF5 files of D4RL (one long table) and Minari (a group for each episode)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from loop_ros.sim.task import Task
from loop_ros.types import Array, Flags, Rows, Transition


def read(path: Path, task: Task) -> Iterator[Transition]:
    """Yield the transitions of a D4RL or Minari file; ValueError where they are not the task's.

    Costs are the task's own of the next states, 0 where it has none. A D4RL file without
    `next_observations` says nothing of the state that an episode's last step led to: where that
    was no end by itself, the step is left out. One without `timeouts` is cut where its next
    observations are not those that follow, or after as many steps as the task's episodes have.
    """
    try:
        import h5py  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise ValueError('HDF5 files need h5py: pip install h5py') from None
    try:
        file = h5py.File(path, 'r')
    except OSError as error:
        raise ValueError(f'{path}: not a readable HDF5 file: {error}') from None
    with file:
        if 'observations' in file:
            yield from _numbered(_of_d4rl(file, str(path), task), task)
        elif any(name.startswith('episode_') for name in file):
            yield from _numbered(_of_minari(file, str(path), task), task)
        else:
            raise ValueError(f'{path}: neither D4RL (observations) nor Minari (episode_0)')


Columns = tuple[Array, Array, Array, Array, Array]  # of an episode, next observations third


def _of_d4rl(file: Any, path: str, task: Task) -> Iterator[Columns]:
    observation, action, reward, terminals = (
        _column(file, name, path) for name in ('observations', 'actions', 'rewards', 'terminals')
    )
    _check(path, task, observation, action)
    known = 'next_observations' in file
    following = (
        _column(file, 'next_observations', path)
        if known
        else np.concatenate((observation[1:], observation[-1:]))
    )
    timeouts = _column(file, 'timeouts', path) if 'timeouts' in file else None
    columns = observation, action, reward, terminals, following
    lengths = {len(part) for part in (*columns, terminals if timeouts is None else timeouts)}
    if len(lengths) > 1:
        raise ValueError(f'{path}: columns of different lengths, {sorted(lengths)}')
    terminal = terminals.astype(bool)
    if timeouts is None:
        timeout = _cuts(observation, following if known else None, terminal, task, path)
    else:
        timeout = timeouts.astype(bool)
    start, count = 0, len(action)
    ends = np.flatnonzero(terminal | timeout).tolist()
    for end in [*ends, count - 1]:
        if end < start:
            continue
        # Without next observations the row after an end is of another episode. What a terminal
        # state looked like counts for nothing: no value follows it.
        last = end if known or terminal[end] else end - 1
        part = slice(start, last + 1)
        if last >= start:
            found = observation[part], action[part], following[part].copy(), reward[part]
            if not known and terminal[end]:
                found[2][-1] = observation[end]
            yield (*found, terminal[part].astype(np.float64))
        start = end + 1


def _cuts(
    observation: Array, following: Array | None, terminal: Flags, task: Task, path: str
) -> Flags:
    """Where episodes are cut in a file without timeouts [N].

    By its next observations, which are not those that follow; without them after as many steps as
    the task's episodes have, which D4RL takes for granted, too.
    """
    log = logging.getLogger(__name__)
    if following is not None:
        log.warning('%s has no timeouts: episodes end where the next state is another one', path)
        cut = np.zeros(len(observation), dtype=np.bool_)
        cut[:-1] = ~np.isclose(following[:-1], observation[1:], atol=1e-6).all(axis=1)
        return cut
    steps = task.max_episode_steps
    log.warning("%s has no timeouts: cut after %d steps, as the task's episodes", path, steps)
    place = np.arange(len(observation))
    ends = np.concatenate(([-1], np.flatnonzero(terminal)))
    since = place - ends[np.searchsorted(ends, place) - 1]  # steps of the episode, this one too
    return np.asarray(since % steps == 0)


def _of_minari(file: Any, path: str, task: Task) -> Iterator[Columns]:
    names = [name for name in file if name.startswith('episode_')]
    for name in sorted(names, key=lambda name: int(name.removeprefix('episode_'))):
        group = file[name]
        where = f'{path}, {name}'
        action, reward, ended = (
            _column(group, each, where) for each in ('actions', 'rewards', 'terminations')
        )
        observation = _column(group, 'observations', where)
        _check(where, task, observation, action)
        if not len(observation) - 1 == len(action) == len(reward) == len(ended):
            lengths = f'{len(observation)} observations, {len(action)} actions, {len(reward)} '
            raise ValueError(f'{where}: {lengths}rewards and {len(ended)} terminations')
        yield observation[:-1], action, observation[1:], reward, ended.astype(np.float64)


def _numbered(episodes: Iterator[Columns], task: Task) -> Iterator[Transition]:
    for number, (observation, action, following, reward, terminated) in enumerate(episodes):
        step = np.arange(len(action))
        following = following.astype(np.float64)
        cost = np.zeros(len(action))
        if task.cost is not None:
            cost = task.cost(task.encode(torch.from_numpy(following))).numpy()
        ended = terminated.astype(bool)
        rows = Rows(
            stamp=step * task.control_period,
            episode=np.full(len(action), number),
            step=step,
            observation=observation.astype(np.float64),
            action=action.astype(np.float64),
            reward=reward,
            cost=cost,
            next_observation=following,
            terminated=ended,
            truncated=(step == len(action) - 1) & ~ended,
        )
        yield from rows.transitions()


def _column(file: Any, name: str, where: str) -> Array:
    """One table of a file or group; ValueError where there is none of that name."""
    if name not in file:
        raise ValueError(f"{where}: no '{name}' in it, but {', '.join(file) or 'nothing'}")
    if not hasattr(file[name], 'shape'):
        raise ValueError(f'{where}: {name} are of several parts, not one table')
    return np.asarray(file[name])


def _check(where: str, task: Task, observation: Array, action: Array) -> None:
    for name, found, labels in (
        ('observations', observation, task.observation_labels),
        ('actions', action, task.action_labels),
    ):
        if found.ndim != 2 or found.shape[1] != len(labels):
            raise ValueError(
                f"{where}: {name} of shape {found.shape}; task '{task.name}' has {len(labels)}: "
                + ', '.join(labels)
            )
