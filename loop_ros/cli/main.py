# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros: train, evaluate and compare without ROS."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from loop_ros.cli import (
    agent_commands,
    bench,
    offline_commands,
    repair,
    report,
    robot_commands,
    study,
)
from loop_ros.cli.algorithms import ALGORITHMS, GAPS, OMNISAFE, listing
from loop_ros.cli.arguments import (
    TASK_HELP,
    add_common,
    import_from_current_folder,
    overrides,
    positive,
    seed_list,
    set_threads,
)
from loop_ros.missing import sentence


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 on success, 2 where the user must change something."""
    options = make_parser().parse_args(arguments)
    import_from_current_folder(getattr(options, 'task', None))
    try:
        return int(options.run(options))
    except ModuleNotFoundError as error:
        print(f'loop-ros: {sentence(error)}', file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f'loop-ros: {error}', file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """All commands with their arguments."""
    parser = argparse.ArgumentParser(prog='loop-ros', description=__doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    _add_experiment(commands)
    study.add(commands)
    agent_commands.add(commands)
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
    parser.add_argument(
        '--envs',
        type=positive,
        default=1,
        metavar='N',
        help='copies of the environment, stepped and planned for together; default %(default)s',
    )
    parser.add_argument(
        '--disturb',
        type=lambda text: tuple(text.split(',')),
        default=('none',),
        metavar='KIND=SIZE,...',
        help='how the robot of each copy differs from the one of the task, as in '
        'none,friction=0.9,mass=1.1+delay=1; again from the first where there are more copies',
    )
    parser.add_argument('--resume', action='store_true', help='resume what --out holds')
    parser.add_argument(
        '--seeds',
        type=seed_list,
        help='0..4 or 0,2,5: each in a process and folder of its own',
    )
    parser.add_argument('--jobs', type=positive, help='processes at a time; default: all cores')
    add_common(parser, profile="the task's own")
    parser.set_defaults(run=_experiment)


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


def _experiment(options: argparse.Namespace) -> int:
    if options.algorithm in GAPS:
        raise ValueError(f'{options.algorithm}: {GAPS[options.algorithm]}')
    set_threads(options)
    experiment = _baseline(options) if options.algorithm in OMNISAFE else _own(options)
    if options.seeds:
        return _seeds(experiment, options)
    experiment.run()
    return 0


def _seeds(experiment: Any, options: argparse.Namespace) -> int:
    from loop_ros.cli import processes, scheduler

    folders = {seed: options.out / f'seed_{seed}' for seed in options.seeds}
    jobs = [
        processes.Job(f'seed {seed}', folder, experiment.arguments(seed, folder), options.steps)
        for seed, folder in folders.items()
    ]
    at_a_time = options.jobs or len(os.sched_getaffinity(0))
    return scheduler.run(jobs, processes.start, at_a_time)


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
        envs=options.envs,
        disturb=options.disturb,
        resume=options.resume,
        evaluate_every=options.evaluate_every,
        final_episodes=options.final_episodes,
    )


def _baseline(options: argparse.Namespace) -> Any:
    from loop_ros.cli.omnisafe import Training

    given = {
        'profile': options.profile,
        'resume': options.resume,
        'evaluate-every': options.evaluate_every,
        'envs': options.envs > 1,
        'disturb': options.disturb != ('none',),
    }
    for option, is_given in given.items():
        if is_given:
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


def _compare(options: argparse.Namespace) -> int:
    from loop_ros.cli.compare import compare

    compare(options.folders, options.out)
    return 0


def _theory(options: argparse.Namespace) -> int:
    from loop_ros.cli import theory

    return theory.run(options)


if __name__ == '__main__':
    sys.exit(main())
