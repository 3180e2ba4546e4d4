# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of tasks: commands for a robot of one's own."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Add the command `tasks`."""
    parser = commands.add_parser('tasks', help='list the tasks, with those of installed packages')
    parser.add_argument('--json', action='store_true', help='one line: a list of rows')
    parser.set_defaults(run=_tasks)


def _tasks(options: argparse.Namespace) -> int:
    from loop_ros.cli import tasks

    return tasks.run(options)
