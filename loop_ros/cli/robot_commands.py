# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of tasks and new: commands for a robot of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

ROBOTS = ('ackermann', 'diff_drive', 'arm', 'other')


def add(commands: Any) -> None:
    """Add the commands `tasks` and `new`."""
    tasks = commands.add_parser('tasks', help='list the tasks, with those of installed packages')
    tasks.add_argument('--json', action='store_true', help='one line: a list of rows')
    tasks.set_defaults(run=_tasks)
    new = commands.add_parser('new', help='write a ROS package for a robot of your own')
    new.add_argument('name', help='of the package and of its task, as my_robot')
    new.add_argument('--robot', choices=ROBOTS, required=True, help='what it is most like')
    new.add_argument('--out', type=Path, default=Path(), help='folder to write it in; default here')
    new.set_defaults(run=_new)


def _tasks(options: argparse.Namespace) -> int:
    from loop_ros.cli import tasks

    return tasks.run(options)


def _new(options: argparse.Namespace) -> int:
    from loop_ros.cli import new

    return new.run(options)
