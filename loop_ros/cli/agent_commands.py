# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the commands in which a trained agent drives."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.cli.arguments import (
    TASK_HELP,
    add_common,
    add_json,
    overrides,
    positive,
    set_threads,
)


def add(commands: Any) -> None:
    """Add the commands."""
    _add_evaluate(commands)
    _add_sweep(commands)
    _add_calibrate(commands)
    _add_horizon(commands)
    _add_hindsight(commands)
    _add_film(commands)
    _add_anatomy(commands)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser('evaluate', help='drive episodes with a trained agent')
    _add_checkpoint(parser)
    parser.add_argument(
        '--algorithm', choices=sorted(ALGORITHMS), help='plan with this one instead'
    )
    _add_true_dynamics(parser)
    add_json(parser)
    parser.add_argument('--out', type=Path, metavar='FILE', help='the same object, as result.json')
    _add_last(parser, _evaluate)


def _add_sweep(commands: Any) -> None:
    parser = commands.add_parser('sweep', help='the same agent under several safety thresholds')
    _add_checkpoint(parser)
    parser.add_argument('--d0', type=float, nargs='+', default=[0.0, 1.0, 2.0, 4.0, 8.0])
    _add_folder(parser)
    _add_last(parser, _sweep)


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
    _add_folder(parser)
    add_json(parser)
    _add_last(parser, _calibrate)


def _add_horizon(commands: Any) -> None:
    parser = commands.add_parser(
        'horizon',
        help='how far to plan: errors of predicted returns (Theorem 1), and returns, over H',
    )
    _add_checkpoint(parser)
    parser.add_argument('--horizons', type=positive, nargs='+', default=[1, 2, 4, 8, 12, 16])
    _add_true_dynamics(parser)
    _add_folder(parser)
    add_json(parser)
    _add_last(parser, _horizon)


def _add_hindsight(commands: Any) -> None:
    parser = commands.add_parser(
        'hindsight',
        help='how much more was possible: the best actions from the same starts',
        description='Searches the true dynamics for actions that return more than those driven. '
        'For simulations with a predict(), as the drift car.',
    )
    _add_checkpoint(parser)
    parser.add_argument(
        '--steps', type=positive, default=30, help='of the beginning of each episode, default 30'
    )
    add_json(parser)
    _add_last(parser, _hindsight)


def _add_film(commands: Any) -> None:
    parser = commands.add_parser(
        'film',
        help='a moving picture: the robot, its plan, what it was compared with, d0 changing',
        description='Candidates are green where their worst predicted cost keeps d0, else red; the '
        'plan is blue. For tasks that have a view from above.',
    )
    _add_checkpoint(parser, episodes=2)
    parser.add_argument(
        '--d0',
        type=float,
        nargs='+',
        default=[0.2, 8.0],
        help='one after the other, in equal parts',
    )
    parser.add_argument('--every', type=positive, default=2, metavar='STEPS', help='between frames')
    parser.add_argument('--out', type=Path, required=True, help='the film, .gif or .webp')
    _add_last(parser, _film)


def _add_anatomy(commands: Any) -> None:
    parser = commands.add_parser(
        'anatomy',
        help='a picture of one plan: the sequences of each iteration, what they weigh',
        description='Of an episode, the plan whose sequences were most divided over d0. Green ones '
        'keep it, red ones do not; they are as wide as they weigh. The mean that they come to is '
        'blue.',
    )
    _add_checkpoint(parser)
    parser.add_argument('--out', type=Path, required=True, help='the picture, as plan.png')
    _add_last(parser, _anatomy)


def _add_checkpoint(parser: argparse.ArgumentParser, episodes: int = 20) -> None:
    parser.add_argument('task', help=TASK_HELP)
    parser.add_argument('--checkpoint', default='shipped', help='shipped, or a folder')
    parser.add_argument('--episodes', type=positive, default=episodes)


def _add_true_dynamics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--true-dynamics',
        action='store_true',
        help='plan in the simulation itself and not in the learned model: what does that cost?',
    )


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', type=Path, required=True, help='folder for table and picture')


def _add_last(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    add_common(parser, profile="the checkpoint's")
    parser.set_defaults(run=run)


def _evaluate(options: argparse.Namespace) -> int:
    from loop_ros.cli import evaluate, run_log

    if options.out is not None and options.out.is_dir():
        raise ValueError(f'--out {options.out}: is a folder; name a file in it')
    set_threads(options)
    agent = _load(options, ALGORITHMS[options.algorithm] if options.algorithm else {})
    _choose_model(agent, options)
    result = evaluate.evaluate(agent, options.episodes, options.seed)
    result['true_dynamics'] = options.true_dynamics
    if options.out is not None:
        run_log.write_json(options.out, result)
    if options.json:
        run_log.print_json(result)
    else:
        evaluate.show([result])
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from loop_ros.cli import evaluate

    set_threads(options)
    evaluate.sweep(_load(options, {}), options.d0, options.episodes, options.seed, options.out)
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from loop_ros.cli import calibrate, run_log
    from loop_ros.sim import disturbed

    set_threads(options)
    disturbances = [disturbed.Disturbance.parse(d) for d in options.disturb or disturbed.DEFAULT]
    calibration = calibrate.Calibration(
        _load(options, {}), disturbances, options.d0, options.episodes, options.seed, options.out
    )
    result = calibration.run()
    if options.json:
        run_log.print_json(result)
    else:
        calibrate.show(result)
    return 0


def _horizon(options: argparse.Namespace) -> int:
    from loop_ros.cli import horizon, run_log

    set_threads(options)
    agent = _load(options, {})
    _choose_model(agent, options)
    result = horizon.run(agent, options.horizons, options.episodes, options.seed, options.out)
    if options.json:
        run_log.print_json(result)
    else:
        horizon.show(result)
    return 0


def _hindsight(options: argparse.Namespace) -> int:
    from loop_ros.cli import hindsight, run_log

    set_threads(options)
    result = hindsight.run(_load(options, {}), options.episodes, options.seed, options.steps)
    if options.json:
        run_log.print_json(result)
    else:
        hindsight.show(result)
    return 0


def _film(options: argparse.Namespace) -> int:
    from loop_ros.cli import film

    set_threads(options)
    agent = _load(options, {})
    film.make(agent, options.d0, options.episodes, options.seed, options.every, options.out)
    return 0


def _anatomy(options: argparse.Namespace) -> int:
    from loop_ros.cli import anatomy

    set_threads(options)
    shown = anatomy.draw(_load(options, {}), options.seed, options.out)
    print(', '.join(f'{name} {value:.3g}' for name, value in shown.items()))
    return 0


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


def _choose_model(agent: Any, options: argparse.Namespace) -> None:
    from loop_ros.cli.evaluate import true_dynamics

    if options.true_dynamics:
        model = true_dynamics(agent)
        agent.plan_in(lambda ensemble, dtype: model)
