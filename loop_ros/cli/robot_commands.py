# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of tasks, new, rerun and explain: before a robot drives, and after."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from loop_ros.cli.arguments import TASK_HELP, add_json, duration

ROBOTS = ('ackermann', 'diff_drive', 'arm', 'other')


def add(commands: Any) -> None:
    """Add the commands `tasks`, `new`, `rerun` and `explain`."""
    tasks = commands.add_parser('tasks', help='list the tasks, with those of installed packages')
    tasks.add_argument('--json', action='store_true', help='one line: a list of rows')
    tasks.set_defaults(run=_tasks)
    new = commands.add_parser('new', help='write a ROS package for a robot of your own')
    new.add_argument('name', help='of the package and of its task, as my_robot')
    new.add_argument('--robot', choices=ROBOTS, required=True, help='what it is most like')
    new.add_argument('--out', type=Path, default=Path(), help='folder to write it in; default here')
    new.set_defaults(run=_new)
    _add_rerun(commands)
    _add_explain(commands)


def _add_rerun(commands: Any) -> None:
    parser = commands.add_parser(
        'rerun',
        help='plan every tick of a snapshot again, and say whether the actions are the same',
        description='Makes every plan of a snapshot again from what its planner remembered, with '
        'the weights and settings of that moment. Exit code 0: all are the same, bit for bit; 1: '
        'some are not, and the first difference is named.',
    )
    _add_snapshot(parser)
    add_json(parser)
    parser.set_defaults(run=_rerun)


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser(
        'explain',
        help='one HTML page about a snapshot: what happened, what the planner believed',
        description='Writes one HTML page that is read in a minute: what happened, what the '
        'planner believed, and what it would have done under other safety thresholds.',
    )
    _add_snapshot(parser)
    parser.add_argument('--out', type=Path, required=True, help='the page, as snapshot.html')
    parser.add_argument(
        '--d0',
        type=float,
        nargs='+',
        help='other safety thresholds; default: none, a half, twice and four times that of then',
    )
    parser.add_argument(
        '--seconds',
        type=duration,
        default=10.0,
        help='before the event, in which plans are made again; default %(default)g',
    )
    parser.set_defaults(run=_explain)


def _add_snapshot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'snapshot', type=Path, metavar='SNAPSHOT', help='a folder with snapshot.json'
    )
    parser.add_argument('--task', help=f"{TASK_HELP}; default the snapshot's, where it is a name")


def _tasks(options: argparse.Namespace) -> int:
    from loop_ros.cli import tasks

    return tasks.run(options)


def _new(options: argparse.Namespace) -> int:
    from loop_ros.cli import new

    return new.run(options)


def _rerun(options: argparse.Namespace) -> int:
    from loop_ros.cli import rerun

    return rerun.run(options)


def _explain(options: argparse.Namespace) -> int:
    from loop_ros.cli import explain

    return explain.run(options)
