# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of the command line, checked as they are read."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

TASK_HELP = (
    'name, as in `loop-ros tasks`, or package.module:TASK; behind either @4 for four robots that '
    'its models tell apart'
)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{value} is not positive')
    return value


def duration(text: str) -> float:
    """A finite length of time above 0."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not a length of time')
    return value


def add_common(parser: argparse.ArgumentParser, profile: str) -> None:
    """What every command has that makes or loads an agent; `profile` says what the default is."""
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--profile', help=f'name or YAML file; default {profile}')
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1 ...')
    parser.add_argument('--num-threads', type=positive, default=1, help='CPU threads of torch')
    parser.add_argument(
        '--set',
        metavar='NAME=VALUE',
        action='append',
        default=[],
        help='a setting, for example planner.horizon=12',
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`, for whoever reads the output by machine."""
    parser.add_argument('--json', action='store_true', help='one JSON object instead of tables')


def seed_list(text: str) -> list[int]:
    """Seeds as '0..4' or '0,2,5'."""
    try:
        first, dots, last = text.partition('..')
        seeds = (
            list(range(int(first), int(last) + 1)) if dots else [int(s) for s in text.split(',')]
        )
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"'{text}': write 0..4 or 0,2,5")
    return seeds


def import_from_current_folder(task: str | None) -> None:
    """Let a task that is named as MODULE:OBJECT be one of the folder where the command starts."""
    if task and ':' in task and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """--set NAME=VALUE pairs, values read as YAML; ValueError where one has no '='."""
    import yaml

    found = {}
    for pair in options.set:
        name, equals, value = pair.partition('=')
        if not equals or '.' not in name:
            raise ValueError(f'--set {pair}: write SECTION.NAME=VALUE, as planner.d0=0.5')
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f'--set {pair}: the value is not YAML') from None
    return found


def set_threads(options: argparse.Namespace) -> None:
    """Let torch use as many threads as asked for."""
    import torch

    torch.set_num_threads(options.num_threads)
