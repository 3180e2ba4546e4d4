# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags as the command line names them: of --task, or with topics of their own by --robot."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they bring torch and the readers of bag formats along
    from loop_ros.bags.reader import BagReader
    from loop_ros.sim.task import Task


def add_robot(parser: argparse.ArgumentParser) -> None:
    """Add --robot."""
    parser.add_argument(
        '--robot',
        type=Path,
        metavar='FILE',
        help='robot file by which bags with topics of their own are read; it names the task',
    )


def task_of(options: argparse.Namespace) -> Task:
    """The task of --robot or --task; ValueError where neither is there."""
    from loop_ros.robot import description
    from loop_ros.sim import registry

    if options.task:
        return registry.task(options.task)
    if options.robot is None:
        raise ValueError('name the task, or the robot file with --robot')
    return description.load(options.robot).task


def reader(bags: Sequence[Path], task: Task, robot: Path | None) -> BagReader:
    """What reads bags of a task, by a robot file where there is one; ValueError as both say."""
    from loop_ros.bags.reader import BagReader
    from loop_ros.robot import description

    return BagReader(bags, task, robot=None if robot is None else description.load(robot, task))
