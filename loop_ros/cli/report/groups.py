# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs that may be averaged: the same task, algorithm and settings, one run a seed."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.cli.runs import Run
from loop_ros.settings import Settings
from loop_ros.settings.migration import MOVED

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.types import Array

# Settings that change how long a run takes, not what it learns.
_WITHOUT_EFFECT = {'planner.rollout_threads'}
_MOST_IN_A_LABEL = 4


@dataclass(frozen=True)
class Group:
    """The seeds of an algorithm on a task under the same settings."""

    label: str
    runs: list[Run]

    @property
    def episodes_known(self) -> bool:
        """Whether each run gives the return and the cost of each evaluation episode."""
        return all(run.result.get('returns') and run.result.get('costs') for run in self.runs)

    def evaluated(self, quantity: str) -> list[Array]:
        """Final 'return' or 'cost' of each seed [E]; only its mean [1] where not all are known."""
        if self.episodes_known:
            return [np.array(run.result[f'{quantity}s'], dtype=float) for run in self.runs]
        mean = f'mean_{quantity}'
        return [np.array([run.result[mean]]) for run in self.runs if mean in run.result]

    def mean(self, name: str) -> float | None:
        """The mean over seeds of a number in result.json; None where a seed does not have it."""
        values = [run.result.get(name) for run in self.runs]
        if not all(isinstance(value, int | float) for value in values):
            return None
        return float(np.mean(np.array(values, dtype=float)))


def group(runs: Iterable[Run]) -> tuple[dict[str, list[Group]], list[str]]:
    """Groups of each task, and a message for each run left out because its seed is there already.

    Runs of an algorithm on a task whose settings differ are different variants: the label names
    what differs, of much that differs only what is not as the package has it now.
    """
    tasks: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        task = tasks.setdefault(run.result['task'], {})
        task.setdefault(run.result['algorithm'], []).append(run)
    groups: dict[str, list[Group]] = {}
    messages: list[str] = []
    for task_name in sorted(tasks):
        groups[task_name] = []
        for algorithm in sorted(tasks[task_name]):
            present = _present(task_name, algorithm)
            for variant in _variants(algorithm, tasks[task_name][algorithm], present):
                kept, left_out = _one_a_seed(variant)
                groups[task_name].append(kept)
                messages += left_out
    return groups, messages


def flat(settings: dict[str, Any], prefix: str = '') -> dict[str, Any]:
    """Nested settings as {'planner.d0': 0.2}, those of earlier releases by their present names."""
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            values.update(flat(value, f'{prefix}{name}.'))
        else:
            values[MOVED.get(f'{prefix}{name}', f'{prefix}{name}')] = value
    return values


def _option(run: Run, name: str) -> str | None:
    """What the run's command gives for an option, as '--steps'."""
    try:
        words = shlex.split(str(run.result.get('command', '')))
    except ValueError:  # a quote without its other half
        return None
    return words[words.index(name) + 1] if name in words[:-1] else None


def _number(run: Run, name: str) -> int | None:
    """The same as a whole number; None where it is none."""
    value = _option(run, name)
    return int(value) if value is not None and value.isdecimal() else None


def steps_asked(run: Run) -> int | None:
    """How long the training was to be; None where the command does not say."""
    return _number(run, '--steps')


def settings_of(run: Run) -> dict[str, Any]:
    """All settings, flat; what an older run did not know is at its default."""
    settings = run.result.get('settings')
    if not isinstance(settings, dict):
        return {}
    own = flat(settings)
    return {**flat(Settings().to_dict()), **own} if 'planner' in settings else own


def _present(task: str, algorithm: str) -> dict[str, Any]:
    """Settings that a run has now, flat; none for a task or an algorithm that is not here."""
    from loop_ros.sim import registry  # it brings torch along, which takes seconds

    if algorithm not in ALGORITHMS:
        return {}
    try:
        settings = Settings.for_task(registry.task(task))
    except ValueError:
        return {}
    return flat(settings.replace(ALGORITHMS[algorithm]).to_dict())


def _variants(algorithm: str, runs: list[Run], present: dict[str, Any]) -> list[Group]:
    """Runs of one algorithm, apart by settings, steps asked for, `--envs` and `--disturb`."""
    descriptions = [settings_of(run) for run in runs]
    for description, run in zip(descriptions, runs, strict=True):
        description['steps'] = steps_asked(run) or run.result.get('steps')
        description['envs'] = _number(run, '--envs') or 1
        description['disturb'] = _option(run, '--disturb') or 'none'
    names = {name for description in descriptions for name in description} - _WITHOUT_EFFECT
    differing = [
        name
        for name in sorted(names)
        if len({json.dumps(description.get(name)) for description in descriptions}) > 1
    ]
    variants: dict[str, list[Run]] = {}
    values: dict[str, list[Any]] = {}
    for description, run in zip(descriptions, runs, strict=True):
        key = json.dumps([description.get(name) for name in differing])
        variants.setdefault(key, []).append(run)
        values[key] = [description.get(name) for name in differing]
    keys = sorted(variants, key=lambda key: [_order(value) for value in values[key]])
    rows = [values[key] for key in keys for _ in variants[key]]
    usual = [
        present.get(name, _commonest(column))
        for name, column in zip(differing, zip(*rows, strict=True), strict=True)
    ]
    labels = _distinct([_label(algorithm, differing, values[key], usual) for key in keys])
    return [Group(label, variants[key]) for label, key in zip(labels, keys, strict=True)]


def _commonest(values: Iterable[Any]) -> Any:
    """What most runs have; of several such values the first."""
    counts = Counter(map(json.dumps, values))
    return json.loads(max(counts, key=lambda value: counts[value]))


def _label(algorithm: str, names: list[str], values: list[Any], usual: list[Any]) -> str:
    """What differs between variants; of much that differs only what is not usual."""
    told = list(zip(names, values, usual, strict=True))
    if len(told) > _MOST_IN_A_LABEL:
        told = [each for each in told if each[1] != each[2]]
    words = [
        f'{name}={json.dumps(value) if not isinstance(value, str) else value}'
        for name, value, _ in told
    ]
    if not words:
        return algorithm
    if len(words) > _MOST_IN_A_LABEL:
        words = [*words[:_MOST_IN_A_LABEL], f'{len(words) - _MOST_IN_A_LABEL} more']
    return f'{algorithm} ({", ".join(words)})'


def _distinct(labels: list[str]) -> list[str]:
    """The same labels, numbered where two are equal."""
    return [
        label if labels.count(label) == 1 else f'{label} [{labels[: i + 1].count(label)}]'
        for i, label in enumerate(labels)
    ]


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then everything else by its words."""
    if isinstance(value, int | float):
        return (0, float(value), '')
    return (1, 0.0, str(value))


def _one_a_seed(variant: Group) -> tuple[Group, list[str]]:
    """The variant with the first run of each seed, and what that leaves out."""
    first: dict[Any, Run] = {}
    messages = []
    for index, run in enumerate(variant.runs):
        seed = run.result.get('seed', f'unknown {index}')
        if seed in first:
            there = first[seed].folder
            messages.append(f'{run.folder}: seed {seed} of {variant.label} is there from {there}')
        else:
            first[seed] = run
    return Group(variant.label, list(first.values())), messages
