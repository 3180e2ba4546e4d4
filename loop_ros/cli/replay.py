# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros replay: plan again at recorded states, and show where that is not what was done."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.cli import replay_summary
from loop_ros.cli.arguments import overrides
from loop_ros.cli.replay_episodes import Replayed, predicts, recordings, replay
from loop_ros.cli.report import libraries
from loop_ros.progress import bars
from loop_ros.settings import Settings
from loop_ros.sim import registry


@dataclass(frozen=True)
class Replay:
    """All that was replayed, and by what."""

    agent: Agent
    checkpoint: str
    bags: list[Path]
    episodes: list[Replayed]
    largest: list[replay_summary.Difference]
    read: str  # what was found in the bags, in words
    command: str

    def figures(self) -> dict[str, Any]:
        """The figures of all episodes together, with what they depend on."""
        planner = self.agent.settings.planner
        return {
            'task': self.agent.task.name,
            'algorithm': planner.algorithm,
            'd0': planner.d0,
            'horizon': planner.horizon,
            **replay_summary.figures(self.episodes),
            'over_d0': replay_summary.beyond(self.episodes, planner.d0),
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same for people."""
        found = self.figures()
        differ = f'{found["different"]:,} of {found["plans"]:,}'
        rows = [
            (
                f'plans over {replay_summary.DIFFERENT:g} of a range from what was done',
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


def run(options: argparse.Namespace) -> int:
    """What the command does."""
    with libraries('replay'):
        from loop_ros.cli.report import replay_page
    if options.out.is_dir():
        raise ValueError(f'--out {options.out}: is a folder; name the page, as replay.html')
    torch.set_num_threads(options.num_threads)
    agent = load(options)
    episodes, read = replayed(agent, options.bags, options.episodes, options.steps, options.every)
    largest = replay_summary.largest(episodes, options.largest, agent.settings.planner.horizon)
    done = Replay(agent, options.checkpoint, options.bags, episodes, largest, read, words(options))
    replay_page.write(done, options.out)
    show(done)
    print(options.out)
    if options.json:
        found = {**done.figures(), 'largest': [each.to_dict() for each in largest]}
        print(json.dumps(found))
    return 0


def load(options: argparse.Namespace) -> Agent:
    """The agent that plans again; ValueError where it cannot, with what to do about it."""
    if options.checkpoint == 'none' or (options.checkpoint == 'shipped' and not options.task):
        raise ValueError('--checkpoint: name a checkpoint, or --task for shipped weights')
    path = checkpoint.resolve(options.checkpoint, options.task or '')
    assert path is not None
    trained_for = checkpoint.read(path)[1].get('task')
    task = registry.task(options.task or str(trained_for))
    if trained_for != task.name:
        raise ValueError(
            f"{path}: a checkpoint of task '{trained_for}', not of '{task.name}'; name another "
            '--checkpoint, or leave --task out to replay bags of its own task'
        )
    settings = Settings.load(options.profile) if options.profile else None
    agent = Agent.load(path, task, options.device, options.seed, settings, resume=False)
    if not agent.ready:
        raise ValueError(f'{path}: an untrained agent, which acts at random; train it first')
    planner = agent.settings.replace(overrides(options)).planner
    if options.d0 is not None:
        planner = dataclasses.replace(planner, d0=options.d0)
    agent.configure(planner)
    return agent


def replayed(
    agent: Agent, bags: list[Path], episodes: int, steps: int, every: int
) -> tuple[list[Replayed], str]:
    """The first episodes of bags, and what was read in words; ValueError where there are none."""
    reader = BagReader(bags, agent.task)
    found: list[Replayed] = []
    transitions = iter(reader)
    with bars() as progress:
        bar = progress.add_task('replay', total=None, metrics='')
        for recording in recordings(transitions, episodes, steps):
            found.append(replay(agent, recording, every, lambda: progress.advance(bar)))
            progress.update(bar, metrics=f'{len(found)} of up to {episodes} episodes')
        progress.update(bar, total=progress.tasks[bar].completed)
    if not found:
        what = '; '.join(reader.summary.words().splitlines())
        raise ValueError(
            f"no transition of task '{agent.task.name}' in {', '.join(map(str, bags))}: {what}. "
            'Record with record:=DIR, or check what a bag holds with ros2 bag info'
        )
    found.sort(key=lambda episode: episode.number)
    used = sum(len(episode.step) for episode in found)
    if next(transitions, None) is None and used == reader.summary.transitions:
        return found, reader.summary.words()
    first = (
        f'The first {used:,} steps of the bags in {_episodes(len(found))}; --episodes and --steps'
    )
    return found, '\n'.join([f'{first} give more.', *reader.summary.notes])


def words(options: argparse.Namespace) -> str:
    """What to type for this page."""
    typed = ['loop-ros', 'replay', *map(str, options.bags), '--checkpoint', options.checkpoint]
    for name in ('task', 'd0', 'profile'):
        if getattr(options, name) is not None:
            typed += [f'--{name}', str(getattr(options, name))]
    for name in ('episodes', 'steps', 'every', 'seed'):
        typed += [f'--{name}', str(getattr(options, name))]
    for pair in options.set:
        typed += ['--set', pair]
    return shlex.join([*typed, '--out', str(options.out)])


def show(done: Replay) -> None:
    """The figures people ask for first, as a table."""
    found = done.figures()
    title = f'{found["task"]}, {_episodes(found["episodes"])}, {found["steps"]:,} steps'
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify='right')
    for name, value in done.rows():
        table.add_row(name, value)
    Console().print(table)


def _episodes(count: int) -> str:
    return f'{count} episode{"" if count == 1 else "s"}'


def _number(value: float | None) -> str:
    return '–' if value is None else f'{value:.4g}'


def _share(value: float | None) -> str:
    return '–' if value is None else f'{value:.1%}'
