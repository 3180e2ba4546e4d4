# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros bench: one sub-command for each file of measurements in bench/."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from loop_ros.cli.arguments import TASK_HELP, add_common, duration, positive

NEED_ROS = ('bridge', 'latency', 'realtime', 'soak')


def add(commands: Any) -> None:
    """Add the command `bench` with its sub-commands."""
    parser = commands.add_parser('bench', help='speeds, beside a peer from the same run')
    benches = parser.add_subparsers(required=True, metavar='WHAT', dest='bench')
    _add_planning(benches)
    _add_nodes(benches)
    learner = _add(benches, 'learner', 'SAC and ensemble steps against peers')
    _add_device(learner)
    _add_seconds(learner, 10.0)
    _add_offline(benches)
    bags = _add(benches, 'bags', "transitions out of a bag against rosbags' own reader")
    bags.add_argument('--num', type=positive, default=200_000, help='transitions in the bag')
    bags.add_argument('--repeats', type=positive, default=3)
    drift_car = _add(benches, 'drift_car', "the car's step against scipy's solver")
    drift_car.add_argument('--num', type=positive, default=1000, help='cars in the batch')
    drift_car.add_argument('--repeats', type=positive, default=5)


def _add_planning(benches: Any) -> None:
    planner = _add(benches, 'planner', 'plans against a plain reference and the matmul rate')
    scaling = _add(benches, 'scaling', 'plan time against N, K, P, H and width')
    fleet = _add(benches, 'fleet', 'plans of B robots in one pass against B planners in turn')
    fleet.add_argument('--robots', type=positive, nargs='+', default=[1, 2, 4, 8, 16], metavar='B')
    fleet.add_argument(
        '--profile', choices=('real time', 'paper'), default='real time', help='of the drift car'
    )
    for parser, plans in ((planner, 100), (scaling, 20), (fleet, 50)):
        _add_device(parser)
        parser.add_argument(
            '--dtype',
            choices=('auto', 'float32', 'bfloat16'),
            help="precision of the rollouts; default the profile's",
        )
        parser.add_argument(
            '--plans', type=positive, default=plans, help=f'of each size, default {plans}'
        )
    scaling.add_argument('--out', type=Path, required=True, help='folder for scaling.json and .png')


def _add_nodes(benches: Any) -> None:
    latency = _add(benches, 'latency', 'state message out to command message in, real time')
    _add_device(latency)
    _add_seconds(latency, 30.0)
    latency.add_argument('--profile', default='drift_car', help='name or YAML file')
    _add_seconds(_add(benches, 'bridge', 'steps in lockstep, transitions to the learner'), 5.0)
    realtime = _add(benches, 'realtime', 'the launched drift car in real time')
    soak = _add(benches, 'soak', 'memory, threads and descriptors of the launched drift car')
    for parser, seconds in ((realtime, 300.0), (soak, 7200.0)):
        _add_seconds(parser, seconds)
        parser.add_argument(
            'launch_arguments', nargs='*', metavar='NAME:=VALUE', help='for the launch, as d0:=0.5'
        )
    soak.add_argument(
        '--out', type=Path, required=True, help='folder for soak.csv, soak.png and launch.log'
    )
    soak.add_argument(
        '--read', action='store_true', help='start nothing: the table of a soak.csv that is there'
    )


def _add_offline(benches: Any) -> None:
    offline = _add(benches, 'offline', "CRR and PLAS from bags against d3rlpy's")
    offline.add_argument('--bags', type=Path, nargs='+', required=True, metavar='DIR')
    offline.add_argument('--task', required=True, help=TASK_HELP)
    offline.add_argument(
        '--updates', type=positive, default=20_000, help='of each algorithm; default %(default)s'
    )
    offline.add_argument(
        '--episodes', type=positive, default=10, help='of each policy; default %(default)s'
    )
    add_common(offline, profile="the task's own")


def _add(benches: Any, name: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = benches.add_parser(name, help=description)
    parser.add_argument('--json', action='store_true', help='one line: a list of rows')
    parser.set_defaults(run=_run)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device', default='cpu', help='cpu, cuda, cuda:1 ...')
    parser.add_argument(
        '--num-threads', type=positive, help="CPU threads; default torch's choice (nodes: theirs)"
    )


def _add_seconds(parser: argparse.ArgumentParser, default: float) -> None:
    parser.add_argument(
        '--seconds', type=duration, default=default, help=f'of a measurement, default {default:g}'
    )


def _run(options: argparse.Namespace) -> int:
    try:
        from loop_ros.bench import report

        module = importlib.import_module(f'loop_ros.bench.{options.bench}')
        rows = module.run(options)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition('.')[0]
        if missing == 'loop_ros':
            raise
        remedy = f'pip install {missing}'
        if options.bench in NEED_ROS:
            remedy = 'source a ROS 2 installation, or run `make .venv` and activate it'
        raise ValueError(f'bench {options.bench} needs {missing}: {remedy}') from None
    report.show(getattr(module, 'TITLE', options.bench), rows, options.json)
    return report.exit_code(rows)
