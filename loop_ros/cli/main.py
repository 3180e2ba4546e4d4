# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros: train, evaluate and compare without ROS."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from loop_ros.cli import bench, offline_commands, repair, report, robot_commands, seeds
from loop_ros.cli.algorithms import ALGORITHMS, GAPS, OMNISAFE, listing
from loop_ros.cli.arguments import (
    TASK_HELP,
    add_common,
    import_from_current_folder,
    overrides,
    positive,
)
from loop_ros.missing import sentence


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 on success, 2 where the user must change something."""
    options = _parser().parse_args(arguments)
    import_from_current_folder(getattr(options, 'task', None))
    try:
        return int(options.run(options))
    except ModuleNotFoundError as error:
        print(f'loop-ros: {sentence(error)}', file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f'loop-ros: {error}', file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='loop-ros', description=__doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    _add_experiment(commands)
    _add_evaluate(commands)
    _add_sweep(commands)
    _add_calibrate(commands)
    _add_horizon(commands)
    _add_compare(commands)
    _add_theory(commands)
    offline_commands.add(commands)
    robot_commands.add(commands)
    repair.add(commands)
    bench.add(commands)
    report.add(commands)
    return parser


def _add_experiment(commands: Any) -> None:
    parser = commands.add_parser(
        'experiment',
        help='train from scratch and evaluate',
        epilog=listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('task', help=TASK_HELP)
    names = sorted([*ALGORITHMS, *OMNISAFE, *GAPS])
    parser.add_argument('--algorithm', choices=names, default='safeloop')
    parser.add_argument('--steps', type=positive, default=15_000, help='environment steps')
    parser.add_argument('--out', type=Path, required=True, help='folder for the results')
    parser.add_argument(
        '--evaluate-every', type=int, default=0, metavar='STEPS', help='0: at the end only'
    )
    parser.add_argument(
        '--final-episodes',
        type=positive,
        metavar='N',
        help='of the evaluation at the end; default: as many as have 4,000 steps, 1 to 20',
    )
    parser.add_argument('--resume', action='store_true', help='resume what --out holds')
    parser.add_argument(
        '--seeds',
        type=seeds.seed_list,
        help='0..4 or 0,2,5: each in a process and folder of its own',
    )
    parser.add_argument('--jobs', type=positive, help='processes at a time; default: all cores')
    add_common(parser, profile="the task's own")
    parser.set_defaults(run=_experiment)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser('evaluate', help='drive episodes with a trained agent')
    _add_checkpoint(parser)
    parser.add_argument(
        '--algorithm', choices=sorted(ALGORITHMS), help='plan with this one instead'
    )
    parser.add_argument('--json', action='store_true', help='one JSON object on the last line')
    parser.add_argument('--out', type=Path, metavar='FILE', help='the same object, as result.json')
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_evaluate)


def _add_sweep(commands: Any) -> None:
    parser = commands.add_parser('sweep', help='the same agent under several safety thresholds')
    _add_checkpoint(parser)
    parser.add_argument('--d0', type=float, nargs='+', default=[0.0, 1.0, 2.0, 4.0, 8.0])
    parser.add_argument('--out', type=Path, required=True, help='folder for table and picture')
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_sweep)


def _add_calibrate(commands: Any) -> None:
    parser = commands.add_parser(
        'calibrate',
        help='predicted worst cost against what then happened, under disturbances',
        description='How often was the threshold broken when the plan said that it would hold?',
    )
    _add_checkpoint(parser)
    parser.add_argument('--d0', type=float, nargs='+', default=[0.0, 1.0, 2.0, 4.0, 8.0])
    parser.add_argument(
        '--disturb',
        nargs='+',
        metavar='KIND=SIZE',
        help='none, friction=0.7, mass=1.2, delay=2 (steps), noise=1 ...; default: eleven of them',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for table and picture')
    parser.add_argument('--json', action='store_true', help='one JSON object on the last line')
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_calibrate)


def _add_horizon(commands: Any) -> None:
    parser = commands.add_parser(
        'horizon',
        help='how far to plan: errors of predicted returns (Theorem 1), and returns, over H',
    )
    _add_checkpoint(parser)
    parser.add_argument('--horizons', type=positive, nargs='+', default=[1, 2, 4, 8, 12, 16])
    parser.add_argument('--out', type=Path, required=True, help='folder for table and picture')
    parser.add_argument('--json', action='store_true', help='one JSON object on the last line')
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=_horizon)


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser('compare', help='curves and final metrics of several experiments')
    parser.add_argument('folders', type=Path, nargs='+', help='--out folders of experiments')
    parser.add_argument('--out', type=Path, required=True, help='folder for table and picture')
    parser.set_defaults(run=_compare)


def _add_theory(commands: Any) -> None:
    parser = commands.add_parser('theory', help='the bounds of the paper on random MDPs')
    parser.add_argument('--out', type=Path, required=True, help='folder for pictures and metrics')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--problems', type=positive, default=200, help='random MDPs of each kind')
    parser.set_defaults(run=_theory)


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('task', help=TASK_HELP)
    parser.add_argument('--checkpoint', default='shipped', help='shipped, or a folder')
    parser.add_argument('--episodes', type=positive, default=20)


def _experiment(options: argparse.Namespace) -> int:
    if options.algorithm in GAPS:
        raise ValueError(f'{options.algorithm}: {GAPS[options.algorithm]}')
    _set_threads(options)
    experiment = _baseline(options) if options.algorithm in OMNISAFE else _own(options)
    if options.seeds:
        jobs = options.jobs or len(os.sched_getaffinity(0))
        return seeds.run(experiment.arguments, options.seeds, options.steps, options.out, jobs)
    experiment.run()
    return 0


def _own(options: argparse.Namespace) -> Any:
    from loop_ros.cli.experiment import Experiment

    return Experiment(
        task_name=options.task,
        algorithm=options.algorithm,
        steps=options.steps,
        seed=options.seed,
        out=options.out,
        profile=options.profile,
        overrides=overrides(options),
        device=options.device,
        resume=options.resume,
        evaluate_every=options.evaluate_every,
        final_episodes=options.final_episodes,
    )


def _baseline(options: argparse.Namespace) -> Any:
    from loop_ros.cli.omnisafe import Training

    for name in ('profile', 'resume', 'evaluate_every'):
        if getattr(options, name):
            option = name.replace('_', '-')
            raise ValueError(f'--{option} is not for {options.algorithm}, which OmniSafe runs')
    return Training(
        task_name=options.task,
        algorithm=options.algorithm,
        steps=options.steps,
        seed=options.seed,
        out=options.out,
        overrides=overrides(options),
        device=options.device,
        num_threads=options.num_threads,
        final_episodes=options.final_episodes,
    )


def _evaluate(options: argparse.Namespace) -> int:
    from loop_ros.cli import evaluate, run_log

    if options.out is not None and options.out.is_dir():
        raise ValueError(f'--out {options.out}: is a folder; name a file in it')
    _set_threads(options)
    agent = _load(options, ALGORITHMS[options.algorithm] if options.algorithm else {})
    result = evaluate.evaluate(agent, options.episodes, options.seed)
    evaluate.show([result])
    if options.out is not None:
        run_log.write_json(options.out, result)
    if options.json:
        print(json.dumps(run_log.to_json(result)))
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from loop_ros.cli import evaluate

    _set_threads(options)
    evaluate.sweep(_load(options, {}), options.d0, options.episodes, options.seed, options.out)
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from loop_ros.cli import calibrate
    from loop_ros.sim import disturbed

    _set_threads(options)
    disturbances = [disturbed.Disturbance.parse(d) for d in options.disturb or disturbed.DEFAULT]
    calibration = calibrate.Calibration(
        _load(options, {}), disturbances, options.d0, options.episodes, options.seed, options.out
    )
    result = calibration.run()
    calibrate.show(result)
    if options.json:
        print(json.dumps(result))
    return 0


def _horizon(options: argparse.Namespace) -> int:
    from loop_ros.cli import horizon, run_log

    _set_threads(options)
    agent = _load(options, {})
    result = horizon.run(agent, options.horizons, options.episodes, options.seed, options.out)
    horizon.show(result)
    if options.json:
        print(json.dumps(run_log.to_json(result)))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from loop_ros.cli.compare import compare

    compare(options.folders, options.out)
    return 0


def _theory(options: argparse.Namespace) -> int:
    from loop_ros.cli import theory

    return theory.run(options)


def _load(options: argparse.Namespace, algorithm: dict[str, Any]) -> Any:
    from loop_ros.cli.evaluate import load_agent

    return load_agent(
        options.task,
        options.checkpoint,
        options.profile,
        {**algorithm, **overrides(options)},
        options.device,
        options.seed,
    )


def _set_threads(options: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(options.num_threads)


if __name__ == '__main__':
    sys.exit(main())
