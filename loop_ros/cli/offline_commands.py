# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of train-offline, predict, dataset, replay and what-if."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from loop_ros.cli.arguments import TASK_HELP, add_common, add_json, duration, positive
from loop_ros.cli.recordings import add_robot
from loop_ros.offline.presets import ALGORITHMS, TABLE_4

KINDS = ('random', 'medium', 'medium-replay', 'medium-expert', 'import')


def add(commands: Any) -> None:
    """Add the commands `train-offline`, `predict`, `dataset`, `replay` and `what-if`."""
    _add_train_offline(commands)
    _add_predict(commands)
    _add_dataset(commands)
    _add_replay(commands)
    _add_what_if(commands)


def _add_train_offline(commands: Any) -> None:
    parser = commands.add_parser(
        'train-offline', help='learn from bags only, and say what to expect of it'
    )
    parser.add_argument('--bags', type=Path, nargs='+', required=True, metavar='DIR')
    parser.add_argument('--task', help=TASK_HELP)
    add_robot(parser)
    parser.add_argument('--algorithm', choices=sorted(ALGORITHMS), default='crr')
    parser.add_argument('--out', type=Path, required=True, help='folder of the checkpoint')
    parser.add_argument(
        '--updates',
        type=positive,
        default=100_000,
        help="gradient steps of actor and critics; those of PLAS's autoencoder (plas.vae_updates) "
        'come before them',
    )
    parser.add_argument(
        '--preset', choices=sorted(TABLE_4), metavar='KIND/ENV', help='Table 4: medium/hopper ...'
    )
    parser.add_argument('--resume', action='store_true', help='resume what --out holds')
    parser.add_argument(
        '--no-evaluation', action='store_true', help='leave the off-policy evaluation out'
    )
    parser.add_argument(
        '--apply-recommendation', action='store_true', help="into the checkpoint's settings"
    )
    add_common(parser, profile="the task's own")
    parser.set_defaults(run=_train_offline)


def _add_predict(commands: Any) -> None:
    parser = commands.add_parser(
        'predict',
        help="a checkpoint's prediction errors on bags that it was not trained on",
        description='Root mean squared errors after one step and after --seconds of recorded '
        'actions, beside predicting that nothing changes; a table in Markdown.',
    )
    _add_bags(parser)
    parser.add_argument('--seconds', type=duration, default=1.0, help='default %(default)s')
    parser.add_argument('--out', type=Path, metavar='FILE', help='the same as JSON')
    add_json(parser)
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_predict, d0=None)


def _add_bags(parser: argparse.ArgumentParser) -> None:
    """What replay and predict read."""
    parser.add_argument(
        'bags', type=Path, nargs='+', metavar='BAG', help='bags, or folders of them'
    )
    parser.add_argument(
        '--checkpoint', required=True, help='a folder, or shipped, which needs --task'
    )
    parser.add_argument('--task', help=f"{TASK_HELP}; default the checkpoint's")
    add_robot(parser)


def _add_part(parser: argparse.ArgumentParser) -> None:
    """How much of bags is planned again."""
    parser.add_argument(
        '--episodes',
        type=positive,
        default=20,
        metavar='N',
        help='the first N; default %(default)s',
    )
    parser.add_argument(
        '--steps',
        type=positive,
        default=5000,
        metavar='N',
        help='recorded steps at most, of all episodes together; default %(default)s',
    )


def _add_dataset(commands: Any) -> None:
    parser = commands.add_parser('dataset', help='make bags to learn from')
    parser.add_argument('task', nargs='?', help=TASK_HELP)
    add_robot(parser)
    parser.add_argument('--kind', choices=KINDS, required=True)
    parser.add_argument(
        '--from',
        dest='sources',
        type=Path,
        nargs='+',
        default=[],
        metavar='RUN',
        help='medium and medium-replay: a run or checkpoint; medium-expert: the medium one and the '
        'expert; import: HDF5 files of D4RL or Minari, or with --robot bags',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='BAG')
    parser.add_argument(
        '--steps', type=positive, help='default 100,000; of medium-replay and import: all'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--profile', help="of random's untrained policy; default the task's own")
    parser.set_defaults(run=_dataset)


def _add_replay(commands: Any) -> None:
    parser = commands.add_parser(
        'replay',
        help='plan again at recorded states, and see where that differs from what was done',
        description='Plans at the states of recorded episodes and writes one HTML page: recorded '
        'against planned actions, what the plans predict, and how far the model is from what '
        'happened. No robot and no simulator is moved.',
    )
    _add_bags(parser)
    parser.add_argument('--out', type=Path, required=True, help='the page, as replay.html')
    parser.add_argument(
        '--d0', type=float, help="safety threshold to plan with; default the checkpoint's"
    )
    _add_part(parser)
    parser.add_argument(
        '--every',
        type=positive,
        default=1,
        metavar='K',
        help='plan in every Kth state only, for a quicker look; default 1',
    )
    parser.add_argument(
        '--largest', type=positive, default=20, metavar='N', help='differences listed; default 20'
    )
    add_json(parser)
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_replay)


def _add_what_if(commands: Any) -> None:
    parser = commands.add_parser(
        'what-if',
        help='what would be planned at recorded states under other thresholds d0',
        description='Plans at the states of recorded episodes and judges the sequences of each '
        'plan under other thresholds: return, worst cost, share of safe sequences, and how far the '
        'action would be from that of the plan. No robot and no simulator is moved.',
    )
    _add_bags(parser)
    parser.add_argument(
        '--d0',
        dest='thresholds',
        type=float,
        nargs='+',
        default=[0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0],
        help='the others; default 0 0.2 0.5 1 2 4 8 (--set planner.d0=... is that of the plans)',
    )
    _add_part(parser)
    add_json(parser)
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_what_if, d0=None)


def _train_offline(options: argparse.Namespace) -> int:
    from loop_ros.cli import train_offline

    return train_offline.run(options)


def _predict(options: argparse.Namespace) -> int:
    from loop_ros.cli import predict

    return predict.run(options)


def _dataset(options: argparse.Namespace) -> int:
    from loop_ros.cli import dataset

    return dataset.run(options)


def _replay(options: argparse.Namespace) -> int:
    from loop_ros.cli import replay

    return replay.run(options)


def _what_if(options: argparse.Namespace) -> int:
    from loop_ros.cli import what_if

    return what_if.run(options)
