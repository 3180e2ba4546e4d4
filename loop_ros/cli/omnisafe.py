# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PPO-Lagrangian and CPO by OmniSafe, run in an environment of its own; results as of our own."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from loop_ros.cli import plots, run_log
from loop_ros.cli.algorithms import OMNISAFE
from loop_ros.cli.experiment import EVALUATION_SEED, evaluation_episodes
from loop_ros.progress import bars
from loop_ros.sim import registry

PYTHON_VARIABLE = 'LOOP_ROS_OMNISAFE_PYTHON'
EPOCH_EPISODES = 20  # as OmniSafe's own 20,000 steps of 1,000-step episodes
CHECKPOINTS = 20  # in a training
# Cost of an episode. The paper gives the baselines what safeLOOP reaches: below 10 in these two.
COST_LIMITS = {'CarGoal1': 10.0, 'PointGoal1': 10.0}
# The sections of OmniSafe's configuration that say how it learns.
SECTIONS = ('algo_cfgs', 'lagrange_cfgs', 'model_cfgs')


def python() -> Path:
    """The Python of OmniSafe's environment; ValueError with the remedy where there is none."""
    path = Path(os.environ.get(PYTHON_VARIABLE) or f'{sys.prefix}-omnisafe/bin/python')
    if not os.access(path, os.X_OK):
        raise ValueError(
            f'OmniSafe has an environment of its own, and {path} is not there: make omnisafe '
            f'(or name a Python that has omnisafe 0.5.0 and loop_ros in {PYTHON_VARIABLE})'
        )
    return path


def schedule(steps: int, episode_steps: int) -> tuple[int, int]:
    """Epochs and steps of an epoch, in whole episodes: at least `steps` in all, and few more."""
    epochs = math.ceil(steps / (EPOCH_EPISODES * episode_steps))
    return epochs, episode_steps * math.ceil(steps / (epochs * episode_steps))


@dataclass
class Training:
    """One run of OmniSafe: the files of an experiment, and OmniSafe's own in omnisafe/."""

    task_name: str
    algorithm: str  # a key of OMNISAFE
    steps: int  # agent steps at least; OmniSafe ends with an epoch
    seed: int
    out: Path
    overrides: dict[str, Any]  # in OmniSafe's names, as lagrange_cfgs.cost_limit
    device: str = 'cpu'
    num_threads: int = 1
    final_episodes: int | None = None  # of the last evaluation; None: as the task's length says

    def run(self) -> None:
        """Train, evaluate, write the results; Ctrl-C ends the training early, not the results.

        ValueError: OmniSafe's environment is missing, or it stopped with an error.
        """
        job = self.job()
        command = [str(python()), '-P', '-m', 'loop_ros.cli.omnisafe_child', json.dumps(job)]
        folder = self.out / 'omnisafe'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.monotonic()
        with (folder / 'log.txt').open('w') as log:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C reaches it by `_messages` only
                env={**os.environ, 'WANDB_MODE': 'disabled', 'WANDB_ERROR_REPORTING': 'false'},
            )
            try:
                end = self._follow(process, job['settings']['train_cfgs']['total_steps'])
            finally:
                process.kill()
                process.wait()
        if not end:
            raise ValueError(_failure(folder / 'log.txt'))
        _put_away(Path(end['folder']), folder)
        self._write_result(end['settings'], time.monotonic() - start)
        if self._rows.rows:  # none where the first episode was interrupted
            plots.curve(self._rows.rows, self.out / 'curve.png')

    def job(self) -> dict[str, Any]:
        """What the other process must know."""
        task = registry.task(self.task_name)
        task.make().close()  # ValueError or ImportError where there is no simulation
        epochs, epoch_steps = schedule(self.steps, task.max_episode_steps)
        limit_section = 'algo_cfgs' if self.algorithm == 'cpo' else 'lagrange_cfgs'
        flat = {
            'seed': self.seed,
            'train_cfgs.total_steps': epochs * epoch_steps,
            'train_cfgs.device': 'cuda:0' if self.device == 'cuda' else self.device,
            'train_cfgs.torch_threads': self.num_threads,
            'algo_cfgs.steps_per_epoch': epoch_steps,
            'logger_cfgs.log_dir': str(self.out.resolve() / 'omnisafe'),
            'logger_cfgs.save_model_freq': math.ceil(epochs / CHECKPOINTS),
            f'{limit_section}.cost_limit': COST_LIMITS.get(task.name, 0.0),
            **self.overrides,
        }
        return {
            'task': self.task_name,
            'algorithm': OMNISAFE[self.algorithm],
            'settings': _nested(flat),
            'evaluation_seed': EVALUATION_SEED,
            'evaluation_episodes': self.final_episodes or evaluation_episodes(task),
        }

    def arguments(self, seed: int, out: Path) -> list[str]:
        """The arguments of loop-ros for this run with a seed."""
        arguments = ['experiment', self.task_name, '--algorithm', self.algorithm]
        arguments += ['--steps', str(self.steps), '--seed', str(seed)]
        if self.final_episodes:
            arguments += ['--final-episodes', str(self.final_episodes)]
        if self.device != 'cpu':
            arguments += ['--device', self.device]
        for name, value in self.overrides.items():
            arguments += ['--set', f'{name}={json.dumps(value)}']
        return [*arguments, '--out', str(out)]

    def _follow(self, process: subprocess.Popen[str], total: int) -> dict[str, Any]:
        """Write down what the process tells; its last message, or nothing where it failed."""
        self._rows = run_log.Table(self.out / 'progress.csv', [])
        self._driven: list[run_log.Row] = []
        board = run_log.tensorboard(self.out / 'tensorboard')
        with bars() as progress:
            bar = progress.add_task(self.algorithm, total=total, metrics='')
            for message in _messages(process):
                if message['phase'] == 'end':
                    return message
                if message['phase'] == 'evaluation':
                    self._driven.append(message['row'])
                    continue
                step = sum(row['steps'] for row in self._rows.rows) + message['row']['steps']
                row = {'step': step, 'episode': len(self._rows.rows), **message['row']}
                self._rows.append(row)
                board('train', row)
                text = f'return {row["return"]:.1f} cost {row["cost"]:.0f}'
                progress.update(bar, completed=step, metrics=text)
        return {}

    def _write_result(self, settings: dict[str, Any], wall_s: float) -> None:
        rows, driven = self._rows.rows, self._driven
        returns = [row['return'] for row in driven]
        costs = [row['cost'] for row in driven]
        means = [name for name in driven[0] if name.startswith('mean_') or name == 'planner_cost']
        content = {
            'task': registry.task(self.task_name).name,
            'algorithm': self.algorithm,
            'episodes': len(driven),
            'mean_return': float(np.mean(returns)),
            'std_return': float(np.std(returns)),
            'min_return': min(returns),
            'mean_cost': float(np.mean(costs)),
            'max_cost': max(costs),
            **{name: float(np.mean([row[name] for row in driven])) for name in means},
            'returns': returns,
            'costs': costs,
            'command': shlex.join(['loop-ros', *self.arguments(self.seed, self.out)]),
            'seed': self.seed,
            'steps': int(sum(row['steps'] for row in rows)),
            'training_cost': sum(row['cost'] for row in rows),
            **run_log.provenance(self.device, wall_s),
            'settings': {name: settings[name] for name in SECTIONS if name in settings},
        }
        run_log.write_json(self.out / 'result.json', content)


def _messages(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The lines of the process; the first Ctrl-C is passed to it, the second ends all."""
    assert process.stdout is not None
    interrupted = False
    while True:
        try:
            line = process.stdout.readline()
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            Console(stderr=True).print('interrupted: evaluating the policy that was saved last')
            process.send_signal(signal.SIGINT)
            continue
        if not line:
            return
        yield json.loads(line)


def _put_away(source: Path, folder: Path) -> None:
    """Bring OmniSafe's files up from its nested folders; its progress has a row for each epoch."""
    for path in source.iterdir():
        path.rename(folder / path.name.replace('progress', 'epochs'))
    shutil.rmtree(source.parent)


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    """{'a.b': 1} as {'a': {'b': 1}}."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, last = name.split('.')
        place = found
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return found


def _failure(log: Path) -> str:
    """One line on why the process ended, and where to read on."""
    lines = [line.strip() for line in log.read_text(errors='replace').splitlines() if line.strip()]
    last = lines[-1] if lines else 'it printed nothing'
    remedy = ' Set its environment up again: make omnisafe.' if 'ModuleNotFound' in last else ''
    return f'OmniSafe stopped: {last} (all of it: {log}).{remedy}'
