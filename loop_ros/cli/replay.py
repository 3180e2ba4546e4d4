# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros replay: plan again at recorded states, and show where that is not what was done."""

from __future__ import annotations

import argparse
import dataclasses
import shlex

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.cli.arguments import overrides
from loop_ros.cli.recordings import reader, task_of
from loop_ros.cli.replay_episodes import Replayed, recordings, replay
from loop_ros.cli.replay_summary import Replay, largest_differences
from loop_ros.cli.report import libraries
from loop_ros.cli.run_log import print_json
from loop_ros.progress import bars
from loop_ros.settings import Settings
from loop_ros.sim import registry


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    with libraries('replay'):
        from loop_ros.cli.report import replay_page
    if options.out.is_dir():
        raise ValueError(f'--out {options.out}: is a folder; name the page, as replay.html')
    torch.set_num_threads(options.num_threads)
    agent = load(options)
    bags = reader(options.bags, agent.task, options.robot)
    episodes, read = replayed(agent, bags, options.episodes, options.steps, options.every)
    largest = largest_differences(episodes, options.largest, agent.settings.planner.horizon)
    done = Replay(
        agent, options.checkpoint, options.bags, episodes, largest, read, command_line(options)
    )
    replay_page.write(done, options.out)
    if options.json:
        print_json({**done.metrics(), 'largest': [each.to_dict() for each in largest]})
    else:
        show(done)
        print(options.out)
    return 0


def load(options: argparse.Namespace) -> Agent:
    """The agent that plans again; ValueError where it cannot, with what to do about it."""
    if options.checkpoint == 'none' or (
        options.checkpoint == 'shipped' and not (options.task or options.robot)
    ):
        raise ValueError('--checkpoint: name a checkpoint, or --task for shipped weights')
    given = task_of(options) if options.task or options.robot else None
    path = checkpoint.resolve(options.checkpoint, given.name if given else '')
    assert path is not None
    trained_for = checkpoint.read(path)[1].get('task')
    task = given or registry.task(str(trained_for))
    if trained_for != task.name:
        raise ValueError(
            f"{path}: a checkpoint of task '{trained_for}', not of '{task.name}'; name another "
            '--checkpoint, or leave --task out to replay bags of its own task'
        )
    settings = Settings.for_task(task, options.profile) if options.profile else None
    agent = Agent.load(path, task, options.device, options.seed, settings, resume=False)
    if not agent.ready:
        raise ValueError(f'{path}: an untrained agent, which acts at random; train it first')
    planner = agent.settings.replace(overrides(options)).planner
    if options.d0 is not None:
        planner = dataclasses.replace(planner, d0=options.d0)
    agent.configure(planner)
    return agent


def replayed(
    agent: Agent, reader: BagReader, episodes: int, steps: int, every: int
) -> tuple[list[Replayed], str]:
    """The first episodes of bags, and what was read in words; ValueError where there are none."""
    found: list[Replayed] = []
    transitions = iter(reader)
    with bars() as progress:
        bar = progress.add_task('replay', total=None, metrics='')
        for recording in recordings(transitions, episodes, steps):
            found.append(replay(agent, recording, every, lambda: progress.advance(bar)))
            progress.update(bar, metrics=f'{len(found)} of up to {episodes} episodes')
        progress.update(bar, total=progress.tasks[bar].completed)
    if not found:
        what = '; '.join(reader.summary.describe().splitlines())
        raise ValueError(
            f"no transition of task '{agent.task.name}' in these bags: {what}. "
            'Record with record:=DIR, or check what a bag holds with ros2 bag info'
        )
    found.sort(key=lambda episode: episode.number)
    used = sum(len(episode.step) for episode in found)
    if next(transitions, None) is None and used == reader.summary.transitions:
        return found, reader.summary.describe()
    first = (
        f'The first {used:,} steps of the bags in {_episodes(len(found))}; --episodes and --steps'
    )
    return found, '\n'.join([f'{first} give more.', *reader.summary.notes])


def command_line(options: argparse.Namespace) -> str:
    """The command line that makes this page."""
    typed = ['loop-ros', 'replay', *map(str, options.bags), '--checkpoint', options.checkpoint]
    for name in ('task', 'robot', 'd0', 'profile'):
        if getattr(options, name) is not None:
            typed += [f'--{name}', str(getattr(options, name))]
    for name in ('episodes', 'steps', 'every', 'seed'):
        typed += [f'--{name}', str(getattr(options, name))]
    for pair in options.set:
        typed += ['--set', pair]
    return shlex.join([*typed, '--out', str(options.out)])


def show(done: Replay) -> None:
    """Print what people ask for first, as a table."""
    found = done.metrics()
    title = f'{found["task"]}, {_episodes(found["episodes"])}, {found["steps"]:,} steps'
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify='right')
    for name, value in done.rows():
        table.add_row(name, value)
    Console().print(table)


def _episodes(count: int) -> str:
    return f'{count} episode{"" if count == 1 else "s"}'
