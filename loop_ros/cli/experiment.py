# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training from scratch: tables, result.json, checkpoint/ and pictures of one run."""

from __future__ import annotations

import itertools
import json
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from loop_ros import checkpoint
from loop_ros.agent import Agent, saved_settings
from loop_ros.cli import evaluate, plots, run_log
from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.progress import bars
from loop_ros.runner import Episode, run_episode
from loop_ros.settings import Settings
from loop_ros.sim import registry, told_apart
from loop_ros.sim.task import Task
from loop_ros.types import Transition
from loop_ros.vector_runner import VectorRunner

EVALUATION_SEED = 1_000_000  # far from the training episodes' seeds
EVALUATION_STEPS = 4000  # of the last evaluation, in episodes of the task
SAVE_EVERY = 2000  # steps
PARTS = 'planning', 'updates', 'model'  # the ensemble's training; what time is spent on
LEARNED = ('model_error', 'model_epochs', 'critic_loss', 'entropy', 'entropy_coef')


@dataclass
class Experiment:
    """One run of Alg. 1, then an evaluation of what it learned."""

    task_name: str
    algorithm: str
    steps: int
    seed: int
    out: Path
    profile: str | None  # None: the task's own
    overrides: dict[str, Any]
    device: str = 'cpu'
    envs: int = 1  # copies of the environment, stepped together
    disturb: tuple[str, ...] = ('none',)  # how each copy's robot differs; again from the first
    resume: bool = False
    evaluate_every: int = 0  # steps; 0: at the end only
    final_episodes: int | None = None  # of the last evaluation; None: as the task's length says
    learned: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))  # s

    def run(self) -> None:
        """Train, evaluate, write the results; Ctrl-C ends the training early, not the results."""
        task = registry.task(self.task_name)
        overrides = {**ALGORITHMS[self.algorithm], **self.overrides}
        settings = Settings.for_task(task, self.profile).replace(overrides)
        differences = itertools.islice(itertools.cycle(self.disturb), self.envs)
        self._robots = [told_apart.robot(task, i, each) for i, each in enumerate(differences, 1)]
        agent = self._agent(task, settings)
        self.out.mkdir(parents=True, exist_ok=True)
        self._episodes, self._evaluations = (
            run_log.Table(self.out / name, self._earlier(name, agent))
            for name in ('progress.csv', 'evaluation.csv')
        )
        self._board = run_log.tensorboard(self.out / 'tensorboard')
        start, begun = time.monotonic(), agent.num_steps
        try:
            self._train(agent)
        except KeyboardInterrupt:
            Console(stderr=True).print('interrupted: evaluating what was learned so far')
        wall_s = time.monotonic() - start
        agent.save(self.out / 'checkpoint', buffer=True)
        Console().print(self._speed(agent.num_steps - begun, wall_s))
        episodes = self.final_episodes or evaluation_episodes(task)
        driven = evaluate.drive(agent, episodes, EVALUATION_SEED, 'last evaluation', self._robots)
        result = evaluate.summarize(agent, driven)
        evaluate.show([result])
        self._write_result(agent, result, wall_s)
        plots.curve(self._episodes.rows, self.out / 'curve.png')
        if plots.has_lines(task):
            plots.line(driven, task, self.out / 'line.png')

    def _agent(self, task: Task, settings: Settings) -> Agent:
        """A new agent, or the one to resume."""
        path = self.out / 'checkpoint'
        if self.resume and (path / checkpoint.METADATA_FILE).exists():  # else no save was ended
            if others := settings.trained_otherwise(saved_settings(path)):
                raise ValueError(
                    f'{path}: trained with {others}; give the same --profile, --algorithm and '
                    '--set, or another --out'
                )
            return Agent.load(path, task, self.device, self.seed, settings)
        return Agent(task, settings, self.device, self.seed)

    def _earlier(self, name: str, agent: Agent) -> list[run_log.Row]:
        return run_log.rows_until(self.out / name, agent.num_steps) if self.resume else []

    def _train(self, agent: Agent) -> None:
        def on_transition(transition: Transition) -> None:
            agent.observe(transition)
            begin = time.perf_counter()
            report = agent.update()
            part = 'model' if 'model_error' in report else 'updates'
            self.spent[part] += time.perf_counter() - begin
            self.learned.update(report)

        saved = evaluated = agent.num_steps
        with bars() as progress:
            bar = progress.add_task(self.algorithm, total=self.steps, metrics='')
            for episode in self._driven(agent, on_transition):
                self.spent['planning'] += sum(plan.plan_s for plan in episode.plans) / self.envs
                row = self._row(agent, episode.row(agent.task))
                shown = f'return {row["return"]:.1f} cost {row["cost"]:.0f}'
                progress.update(bar, completed=agent.num_steps, metrics=shown)
                if agent.num_steps - saved >= SAVE_EVERY:
                    agent.save(self.out / 'checkpoint', buffer=True)
                    saved = agent.num_steps
                if self.evaluate_every and agent.num_steps - evaluated >= self.evaluate_every:
                    self._evaluate(agent)
                    evaluated = agent.num_steps

    def _driven(
        self, agent: Agent, on_transition: Callable[[Transition], None]
    ) -> Iterator[Episode]:
        """Episodes that are learned from, as they end, until there were so many steps."""
        index, seed = len(self._episodes.rows), self.seed + agent.num_steps
        if self.envs > 1:
            runner = VectorRunner(agent, self._robots, seed, index)
            while agent.num_steps < self.steps:
                yield from runner.step(explore=True, on_transition=on_transition)
            return
        env = self._robots[0].make()
        env.reset(seed=seed)
        while agent.num_steps < self.steps:
            yield run_episode(env, agent, index, explore=True, on_transition=on_transition)
            index += 1

    def _speed(self, steps: int, wall_s: float) -> str:
        """Environment steps a second, and what they were spent on."""
        shares = ', '.join(f'{part} {self.spent[part] / wall_s:.0%}' for part in PARTS)
        return (
            f'{steps / wall_s:.1f} steps/s: {shares}, the rest is the environment and evaluations'
        )

    def _row(self, agent: Agent, episode: run_log.Row) -> run_log.Row:
        learned = {name: self.learned.get(name, 0.0) for name in LEARNED}
        row = {'step': agent.num_steps, **episode, **learned}
        self._episodes.append(row)
        self._board('train', row)
        return row

    def _evaluate(self, agent: Agent) -> None:
        """One thousand steps, in whole episodes, that nothing is learned from."""
        episodes = max(1, 1000 // agent.task.max_episode_steps)
        seed = EVALUATION_SEED + agent.num_steps
        driven = evaluate.drive(agent, episodes, seed, 'evaluate', self._robots)
        result = evaluate.summarize(agent, driven)
        names = ('mean_return', 'std_return', 'mean_cost', 'episodes')
        row = {'step': agent.num_steps, **{name: result[name] for name in names}}
        self._evaluations.append(row)
        self._board('evaluate', row)

    def _write_result(self, agent: Agent, result: dict[str, Any], wall_s: float) -> None:
        content = {
            **result,
            'algorithm': self.algorithm,
            'command': shlex.join(['loop-ros', *self.arguments(self.seed, self.out)]),
            'seed': self.seed,
            'steps': agent.num_steps,
            'training_cost': sum(row['cost'] for row in self._episodes.rows),
            **run_log.provenance(self.device, wall_s),
            'spent_s': {part: round(self.spent[part], 1) for part in PARTS},
            'torch': torch.__version__,
            'settings': agent.settings.to_dict(),
        }
        run_log.write_json(self.out / 'result.json', content)

    def arguments(self, seed: int, out: Path) -> list[str]:
        """The arguments of loop-ros for this run with a seed."""
        arguments = ['experiment', self.task_name, '--algorithm', self.algorithm]
        arguments += ['--steps', str(self.steps), '--seed', str(seed)]
        if self.profile:
            arguments += ['--profile', self.profile]
        if self.evaluate_every:
            arguments += ['--evaluate-every', str(self.evaluate_every)]
        if self.final_episodes:
            arguments += ['--final-episodes', str(self.final_episodes)]
        if self.envs > 1:
            arguments += ['--envs', str(self.envs)]
        if self.disturb != ('none',):
            arguments += ['--disturb', ','.join(self.disturb)]
        if self.device != 'cpu':
            arguments += ['--device', self.device]
        if self.resume:
            arguments += ['--resume']
        for name, value in self.overrides.items():
            arguments += ['--set', f'{name}={json.dumps(value)}']
        return [*arguments, '--out', str(out)]


def evaluation_episodes(task: Task) -> int:
    """Episodes of the last evaluation: 20 of the drift car, 20 of PointGoal1, 4 of HalfCheetah."""
    return min(20, max(1, EVALUATION_STEPS // task.max_episode_steps))
