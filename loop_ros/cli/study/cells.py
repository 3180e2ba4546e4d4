# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The runs of a study: each one `loop-ros experiment`, and what its folder holds of it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop_ros import checkpoint
from loop_ros.agent import saved_settings
from loop_ros.cli.experiment import Experiment
from loop_ros.cli.omnisafe import Training
from loop_ros.cli.processes import Job
from loop_ros.cli.report.groups import flat
from loop_ros.cli.study.definition import Study, Variant
from loop_ros.sim import registry

# Of the command: they decide what a finished run has written.
WRITTEN = ('--evaluate-every', '--final-episodes')


@dataclass(frozen=True)
class Cell:
    """One seed of a variant."""

    variant: Variant
    seed: int
    job: Job

    def finished(self) -> bool:
        """Whether its folder holds its result; ValueError where it holds another run."""
        saved, path = self.job.folder / 'checkpoint', self.job.folder / 'result.json'
        if self.variant.settings is not None and (saved / checkpoint.METADATA_FILE).exists():
            self._expect_settings(saved_settings(saved).to_dict())
        if not path.exists():
            return False
        try:
            return self._is_result(json.loads(path.read_text(encoding='utf-8')))
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise self._another(f'no readable result.json ({type(error).__name__})') from None

    def _is_result(self, result: dict[str, Any]) -> bool:
        if self.variant.settings is not None:
            self._expect_settings(result['settings'])
        task = registry.task(self.variant.task).name
        own = {'task': task, 'algorithm': self.variant.algorithm, 'seed': self.seed}
        for name, value in own.items():
            if result[name] != value:
                raise self._another(f'{name} {result[name]}')
        then, now = shlex.split(result['command']), ['loop-ros', *self.job.arguments]
        steps = int(_option(then, '--steps') or 0)
        if steps > self.job.steps:
            raise self._another(f'{steps} steps')
        if steps < self.job.steps or result['steps'] < self.job.steps:
            return False
        for name in WRITTEN:
            if _option(then, name) != _option(now, name):
                raise self._another(f'{name} {_option(then, name)}')
        return True

    def _expect_settings(self, held: dict[str, Any]) -> None:
        assert self.variant.settings is not None
        before, now = flat(held), flat(self.variant.settings.to_dict())
        others = [f'{name} {before.get(name)} (not {now[name]})' for name in now
                  if before.get(name) != now[name]]  # fmt: skip
        if others:
            raise self._another(', '.join(others))

    def _another(self, what: str) -> ValueError:
        return ValueError(
            f'{self.job.folder}: holds another run, with {what}; give another --out, or put the '
            'folder away'
        )


def cells(study: Study, out: Path) -> list[Cell]:
    """Every run of a study, first seeds first, so that there is something of all early on."""
    return [
        Cell(variant, seed, _job(variant, seed, out, study.gpus))
        for seed in study.seeds
        for variant in study.variants
    ]


def _job(variant: Variant, seed: int, out: Path, gpus: float) -> Job:
    folder = out / variant.path / f'seed_{seed}'
    name = ' '.join(filter(None, (variant.task, variant.algorithm, variant.name, f'seed {seed}')))
    options, device = variant.options.given, 'cuda' if gpus else 'cpu'
    steps, episodes = options['steps'], options.get('final_episodes')
    overrides = variant.options.overrides
    run: Experiment | Training
    if variant.settings is None:
        run = Training(variant.task, variant.algorithm, steps, seed, folder, overrides, device)
        run.final_episodes = episodes
    else:
        run = Experiment(
            variant.task, variant.algorithm, steps, seed, folder, options.get('profile'), overrides,
            device, resume=True, evaluate_every=options.get('evaluate_every', 0),
            final_episodes=episodes,
        )  # fmt: skip
    return Job(name, folder, run.arguments(seed, folder), steps, gpus)


def _option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words[:-1] else None
