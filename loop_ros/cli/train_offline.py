# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros train-offline: bags to a checkpoint (Alg. 2), and what to expect of it."""

from __future__ import annotations

import argparse
import math
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

import loop_ros
from loop_ros import checkpoint, distributed
from loop_ros.agent import Agent
from loop_ros.cli import run_log
from loop_ros.cli.arguments import overrides
from loop_ros.cli.recordings import reader, task_of
from loop_ros.offline import evaluation as off_policy_evaluation
from loop_ros.offline.data import OfflineData
from loop_ros.offline.presets import ALGORITHMS, preset
from loop_ros.offline.training import OfflineTraining, summary
from loop_ros.progress import bars
from loop_ros.settings import Settings
from loop_ros.sim.task import Task

LOG_EVERY = 500  # updates
SAVE_EVERY = 10_000
CHECK_EVERY = 50  # whether another process was interrupted
UNLIKE = (
    'the models are no better on held-out episodes than the mean change: these are unlike the '
    'others, or there is nothing to learn. Try another --seed, a larger ensemble.holdout_fraction, '
    'or more and shorter episodes'
)
DIVERGED = (
    'Look for outliers in the states and for units that do not belong together, record more, or '
    'train for longer'
)


@dataclass
class Training:
    """One run of Alg. 2; `out` becomes a checkpoint with the run's tables beside it."""

    task: Task
    bags: list[Path]
    algorithm: str
    out: Path
    updates: int  # of actor and critics
    settings: Settings
    seed: int = 0
    device: str = 'cpu'
    resume: bool = False
    evaluate: bool = True
    apply: bool = False  # the recommended planner settings
    robot: Path | None = None  # robot file by which the bags are read
    chooses_planner: bool = False  # the settings are those of somebody who chose the planner

    @property
    def total(self) -> int:
        """All updates, with those of PLAS's autoencoder that come before its policy's."""
        before = self.settings.plas.vae_updates if self.algorithm == 'plas' else 0
        return self.updates + before

    def run(self) -> None:
        """Train, evaluate off policy, write the results; Ctrl-C ends the training early.

        Of several processes the first writes and evaluates, by itself when the training is done.
        """
        data = read(self.bags, self.task, self.robot)
        self._keep_under_d0(data)
        training = self._training(data)
        if distributed.rank() == 0:
            self._open_log(training.updates)
        number, evaluate = distributed.size(), self.evaluate
        start = time.monotonic()
        try:
            self._train(training)
        except KeyboardInterrupt:
            if not training.agent.ready:
                raise ValueError('interrupted before there was a model') from None
            _say('interrupted: what was learned so far is kept')
            evaluate = evaluate and number == 1  # torchrun soon kills who has not ended
        training.save(self.out)
        first = distributed.rank() == 0
        distributed.shutdown()
        if first:
            self._write_result(training, number, time.monotonic() - start)
        if first and evaluate:
            self._evaluate(training)

    def _open_log(self, updates: int) -> None:
        """Open tables that continue at update `updates`."""
        self.out.mkdir(parents=True, exist_ok=True)
        earlier = run_log.rows_until(self.out / 'progress.csv', updates)
        self._table = run_log.Table(self.out / 'progress.csv', earlier if self.resume else [])
        self._board = run_log.tensorboard(self.out / 'tensorboard')

    def _write_result(self, training: OfflineTraining, number: int, wall_s: float) -> None:
        """Of a training on a number of processes."""
        result = {
            'task': self.task.name,
            'algorithm': self.algorithm,
            'command': shlex.join(self.arguments()),
            'processes': number,
            'seed': training.seed,
            'updates': training.updates,
            'data': summary(training.data),
            'model': training.model,
            'wall_s': round(wall_s, 1),
            'version': loop_ros.__version__,
            'commit': run_log.commit(),
            'torch': torch.__version__,
            'settings': training.agent.settings.to_dict(),
        }
        run_log.write_json(self.out / 'offline.json', result)

    def _training(self, data: OfflineData) -> OfflineTraining:
        if (self.out / checkpoint.METADATA_FILE).is_file():
            if not self.resume:
                raise ValueError(f'{self.out}: holds a checkpoint; add --resume, or another --out')
            return OfflineTraining.resume(self.out, self.task, data, self.settings, self.device)
        agent = Agent(self.task, self.settings, self.device, self.seed)
        return OfflineTraining(agent, data, self.seed)

    def _keep_under_d0(self, data: OfflineData) -> None:
        """Plan under the threshold where there is a cost, unless told otherwise."""
        costs = self.task.cost is not None or bool(data.batch.cost.any())
        if costs and not self.chooses_planner:
            self.settings = self.settings.replace({'planner.algorithm': 'safe_arc'})

    def _train(self, training: OfflineTraining) -> None:
        with bars(quiet=distributed.rank() > 0) as progress:
            if not training.agent.ready:
                bar = progress.add_task('model', total=None, metrics='')

                def epoch() -> bool:
                    progress.advance(bar)
                    distributed.check_interrupt()
                    return False

                model = training.fit_model(epoch)
                progress.update(
                    bar,
                    total=int(model['model_epochs']),
                    metrics=f'error {model["model_error"]:.3f} of held-out episodes',
                )
                training.save(self.out)
                if model['model_error'] >= 1:
                    _say(UNLIKE)
            bar = progress.add_task(
                self.algorithm, total=self.total, completed=training.updates, metrics=''
            )
            while training.updates < self.total:
                self._log(training.updates + 1, training.update(), progress, bar)
                if training.updates % CHECK_EVERY == 0:
                    distributed.check_interrupt()
                if training.updates % SAVE_EVERY == 0:
                    training.save(self.out)

    def _log(self, step: int, losses: dict[str, Tensor], progress: Progress, bar: Any) -> None:
        if step % LOG_EVERY and step != self.total:
            return
        means = torch.stack(list(losses.values()))
        distributed.average([means])
        if distributed.rank() > 0:
            return
        row = {'step': float(step), **dict(zip(losses, means.tolist(), strict=True))}
        self._table.append(row)
        self._board('offline', row)
        shown = f'critic loss {row["critic_loss"]:.3g}'
        progress.update(bar, completed=step, metrics=shown)

    def _evaluate(self, training: OfflineTraining) -> None:
        agent = training.agent
        with bars() as progress:
            most = off_policy_evaluation.MOST_TRIED
            bar = progress.add_task('settings tried', total=most, metrics='')
            found = off_policy_evaluation.evaluate(
                agent,
                training.data,
                training.held_out,
                self.seed,
                tried=lambda: progress.advance(bar),
            )
            progress.update(bar, total=len(found['candidates']))
        run_log.write_json(self.out / 'off_policy.json', found)
        for name in ('candidates', 'model_error'):
            table = run_log.Table(self.out / f'off_policy_{name}.csv', [])
            for row in found[name]:
                table.append(row)
        show(found)
        if self.apply and not found['recommended']:
            raise ValueError(
                f'{self.out}: episodes in the models diverged under all settings, so none is '
                f'applied; the checkpoint keeps its own. {DIVERGED}'
            )
        if self.apply:
            agent.configure(agent.settings.replace(found['recommended']).planner)
            training.save(self.out)

    def arguments(self) -> list[str]:
        """The command line of this run."""
        arguments = ['loop-ros', 'train-offline', '--task', self.task.name]
        arguments += ['--bags', *map(str, self.bags), '--algorithm', self.algorithm]
        arguments += ['--updates', str(self.updates), '--seed', str(self.seed)]
        if self.robot is not None:
            arguments += ['--robot', str(self.robot)]
        return [*arguments, '--out', str(self.out)]


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    torch.set_num_threads(options.num_threads)
    task = task_of(options)
    settings = Settings.for_task(task, options.profile)
    chosen = preset(options.preset, options.algorithm) if options.preset else {}
    training = Training(
        task=task,
        bags=options.bags,
        algorithm=options.algorithm,
        out=options.out,
        updates=options.updates,
        settings=settings.replace(
            {**ALGORITHMS[options.algorithm], **chosen, **overrides(options)}
        ),
        seed=options.seed,
        device=distributed.init(options.device),
        resume=options.resume,
        evaluate=not options.no_evaluation and options.algorithm != 'mbop',
        apply=options.apply_recommendation,
        robot=options.robot,
        chooses_planner='planner.algorithm' in overrides(options),
    )
    training.run()
    return 0


def read(bags: list[Path], task: Task, robot: Path | None = None) -> OfflineData:
    """All transitions of bags; says what was found and what was left out."""
    found = reader(bags, task, robot)
    data = OfflineData.from_rows(found.batches(), task)
    _say(found.summary.describe())
    return data


def show(found: dict[str, Any]) -> None:
    """Print what people ask for first."""
    actor, plans = found['actor'], found['plans']
    error, last = found['model_error'][0], found['model_error'][-1]
    settings = found['recommended'].items()
    chosen = ' '.join(f'{name}={value:g}' for name, value in settings) or 'any settings'
    lines = [
        f'model error     {error["error"]:.3f} after 1 step, {last["error"]:.3f} after '
        f'{last["step"]:.0f}, in standard deviations of the states',
        f'held-out return {found["held_out_return"]:.1f} an episode, as recorded',
        f'in the model    {_expectation(actor)}: the actor, {found["steps"]:.0f} steps',
        f'                {_expectation(plans)}: plans with {chosen}',
        f'covered         {actor["covered"]:.0%} of the states and actions that the actor comes to '
        f'are near recorded ones, {plans["covered"]:.0%} of those of the plans',
        f'fitted Q        {_value(actor)} and {_value(plans)}, discounted',
    ]
    if not found['recommended']:
        lines.append(f'                nothing is recommended. {DIVERGED}')
    elif not found['better_than_actor']:
        lines.append('                the difference is within the spread: not certain')
    Console().print('\n'.join(lines), highlight=False)


def _expectation(of: dict[str, float]) -> str:
    if of['diverged']:
        return 'diverged'
    cost = f'worst cost {of["worst_cost"]:.1f}'
    if of['most_cost'] > of['worst_cost']:
        cost += f' to {of["most_cost"]:.1f}'
    return f'{of["return"]:.1f} +- {of["spread"]:.1f}, {cost}'


def _value(of: dict[str, float]) -> str:
    if not math.isfinite(of['value']):
        return 'diverged'
    return f'{of["value"]:.2f} +- {of["value_spread"]:.2f}'


def _say(text: str) -> None:
    if distributed.rank() > 0:
        return
    Console(stderr=True).print(text, highlight=False, markup=False)
