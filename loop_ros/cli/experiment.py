# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training from scratch: progress.csv, result.json, checkpoint/, curve.png and line.png."""

from __future__ import annotations

import csv
import json
import os
import platform
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import loop_ros
from loop_ros.agent import Agent
from loop_ros.cli import evaluate, plots
from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.runner import Episode, run_episode
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.types import Transition

EVALUATION_EPISODES = 20
EVALUATION_SEED = 1_000_000  # far from the training episodes' seeds
SAVE_EVERY = 20  # episodes


@dataclass
class Experiment:
    """One run of Alg. 1, then an evaluation of what it learned."""

    task_name: str
    algorithm: str
    steps: int
    seed: int
    out: Path
    profile: str
    overrides: dict[str, Any]
    device: str = 'cpu'
    rows: list[dict[str, float]] = field(default_factory=list)
    learned: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Train, evaluate, write the results; Ctrl-C ends the training early, not the results."""
        task = registry.task(self.task_name)
        overrides = {**ALGORITHMS[self.algorithm], **self.overrides}
        settings = Settings.load(self.profile).replace(overrides)
        agent = Agent(task, settings, self.device, self.seed)
        self.out.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        try:
            self._train(agent)
        except KeyboardInterrupt:
            Console(stderr=True).print('interrupted: evaluating what was learned so far')
        wall_s = time.monotonic() - start
        agent.save(self.out / 'checkpoint', buffer=True)
        driven = evaluate.drive(agent, EVALUATION_EPISODES, EVALUATION_SEED, 'evaluate')
        result = evaluate.summarize(agent, driven)
        evaluate.show([result])
        self._write_result(agent, result, wall_s)
        plots.curve(self.rows, self.out / 'curve.png')
        plots.line(driven, task.metrics, self.out / 'line.png')

    def _train(self, agent: Agent) -> None:
        env = registry.make(self.task_name)
        env.reset(seed=self.seed)

        def on_transition(transition: Transition) -> None:
            agent.observe(transition)
            self.learned.update(agent.update())

        with self._progress() as progress, (self.out / 'progress.csv').open('w') as file:
            bar = progress.add_task(self.algorithm, total=self.steps, figures='')
            while agent.num_steps < self.steps:
                episode = run_episode(
                    env, agent, len(self.rows), explore=True, on_transition=on_transition
                )
                self._record(agent, episode, file)
                row = self.rows[-1]
                figures = f'return {row["return"]:.1f} cost {row["cost"]:.0f}'
                progress.update(bar, completed=agent.num_steps, figures=figures)
                if len(self.rows) % SAVE_EVERY == 0:
                    agent.save(self.out / 'checkpoint', buffer=True)

    def _record(self, agent: Agent, episode: Episode, file: TextIO) -> None:
        names = ('model_error', 'model_epochs', 'critic_loss', 'entropy', 'entropy_coef')
        row = {
            'step': agent.num_steps,
            **episode.row(agent.task.metrics),
            **{name: self.learned.get(name, 0.0) for name in names},
        }
        writer = csv.DictWriter(file, list(row))
        if not self.rows:
            writer.writeheader()
        writer.writerow({name: f'{value:.6g}' for name, value in row.items()})
        file.flush()
        self.rows.append(row)

    def _write_result(self, agent: Agent, result: dict[str, Any], wall_s: float) -> None:
        content = {
            **result,
            'algorithm': self.algorithm,
            'command': self._command(),
            'seed': self.seed,
            'steps': agent.num_steps,
            'training_cost': sum(row['cost'] for row in self.rows),
            'wall_s': round(wall_s, 1),
            'version': loop_ros.__version__,
            'torch': torch.__version__,
            'machine': f'{platform.machine()}, {os.cpu_count()} cores, {self.device}',
            'settings': agent.settings.to_dict(),
        }
        path = self.out / 'result.json'
        path.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')

    def _command(self) -> str:
        """What to type for the same run."""
        words = ['loop-ros', 'experiment', self.task_name, '--algorithm', self.algorithm]
        words += ['--steps', str(self.steps), '--seed', str(self.seed), '--profile', self.profile]
        for name, value in self.overrides.items():
            words += ['--set', f'{name}={value}']
        return shlex.join([*words, '--out', str(self.out)])

    @staticmethod
    def _progress() -> Progress:
        return Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn('{task.fields[figures]}'),
            console=Console(stderr=True),
        )
