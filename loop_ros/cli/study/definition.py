# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A study file: tasks x algorithms x settings x seeds, checked as a whole."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loop_ros.cli.algorithms import ALGORITHMS, GAPS, OMNISAFE
from loop_ros.cli.arguments import import_from_current_folder, seed_list
from loop_ros.profiles import profile_path
from loop_ros.robot import marked
from loop_ros.robot.marked import Section
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.task import Task

FOLDER = Path(__file__).resolve().parents[2] / 'studies'
COUNTS = {'steps': 1, 'evaluate_every': 0, 'final_episodes': 1}  # options and their least values
OPTIONS = (*COUNTS, 'profile', 'set')
OF_OMNISAFE = ('steps', 'final_episodes')
ABOUT = ('title', 'claim', 'figure', 'core_hours', 'so_far', 'gpus')


@dataclass(frozen=True)
class Options:
    """What a level of the file says of its runs; what it leaves out, the level above says."""

    given: dict[str, Any] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)

    def over(self, above: Options) -> Options:
        """Both, where these win."""
        return Options({**above.given, **self.given}, {**above.overrides, **self.overrides})


@dataclass(frozen=True)
class Variant:
    """Runs that differ in their seed alone."""

    task: str
    algorithm: str
    name: str  # of its settings; empty: there is one only
    options: Options
    settings: Settings | None  # None: OmniSafe's

    @property
    def path(self) -> Path:
        """Its folder within that of the study."""
        return Path(self.task.replace(':', '.'), self.algorithm, self.name)


@dataclass(frozen=True)
class Study:
    """A study file."""

    path: Path
    about: dict[str, str]  # by names of ABOUT, where they are given
    variants: list[Variant]
    seeds: list[int]
    gpus: float


def find(name: str) -> Path:
    """Where a study file is: a path to a YAML file, or a name among the shipped ones."""
    if name.endswith(('.yaml', '.yml')):
        return Path(name).expanduser()
    if name in shipped():
        return FOLDER / f'{name}.yaml'
    raise ValueError(f"unknown study '{name}'; use {', '.join(shipped())}, or a YAML file's path")


def shipped() -> list[str]:
    """Names of the studies that come with the package, by number."""

    def order(name: str) -> tuple[str, int]:
        number = re.sub(r'\D', '', name)
        return name.rstrip('0123456789'), int(number or 0)

    return sorted((found.stem for found in FOLDER.glob('*.yaml')), key=order)


def load(path: Path) -> Study:
    """Read a study file; ValueError lists all that is wrong with it, each with its line."""
    if not path.is_file():
        raise ValueError(f'study {path}: no such file')
    top, mistakes = marked.read(path)
    top.only(*ABOUT, *OPTIONS, 'tasks', 'algorithms', 'settings', 'seeds')
    for key in ('tasks', 'algorithms'):
        if key not in top:
            top.wrong(f'no {key}')
    study = Study(
        path,
        {key: top.text(key) for key in ABOUT if key in top},
        list(_variants(top)),
        _seeds(top),
        top.number('gpus', 0.0, low=0.0),
    )
    mistakes.report()
    return study


@dataclass(frozen=True)
class _Entry:
    """A task, an algorithm or named settings in the file."""

    name: str
    section: Section
    options: Options


def _variants(top: Section) -> Iterator[Variant]:
    """Every combination that is sound; what is wrong is noted."""
    common = _options(top)
    tasks, algorithms = list(_tasks(top)), list(_algorithms(top))
    named: list[_Entry | None] = [*_settings(top)] or [None]
    for (of_task, task), of_algorithm, of_settings in itertools.product(tasks, algorithms, named):
        above = of_algorithm.options.over(of_task.options.over(common))
        variant = of_settings.name if of_settings else ''
        if of_algorithm.name in OMNISAFE:
            given = {key: above.given[key] for key in OF_OMNISAFE if key in above.given}
            options, settings = Options(given, of_algorithm.options.overrides), None
            if of_settings:
                of_settings.section.wrong(
                    f'{variant} is not for {of_algorithm.name}, which OmniSafe runs'
                )
        else:
            options = of_settings.options.over(above) if of_settings else above
            changes = {**ALGORITHMS[of_algorithm.name], **options.overrides}
            try:
                settings = Settings.for_task(task, options.given.get('profile')).replace(changes)
            except ValueError as error:
                where = ' '.join(filter(None, (of_task.name, of_algorithm.name, variant)))
                (of_settings or of_algorithm).section.wrong(f'{where}: {_bare(error)}')
                continue
        if 'steps' not in options.given:
            of_algorithm.section.wrong(f'no steps for {of_algorithm.name} on {of_task.name}')
        yield Variant(of_task.name, of_algorithm.name, variant, options, settings)


def _tasks(top: Section) -> Iterator[tuple[_Entry, Task]]:
    for name, section in top.names('tasks') if 'tasks' in top else ():
        section.only(*OPTIONS)
        entry = _Entry(name, section, _options(section))
        import_from_current_folder(name)
        try:
            yield entry, registry.task(name)
        except (ValueError, ImportError) as error:
            section.wrong(str(error))


def _algorithms(top: Section) -> Iterator[_Entry]:
    for name, section in top.names('algorithms') if 'algorithms' in top else ():
        if name in ALGORITHMS:
            section.only(*OPTIONS)
            yield _Entry(name, section, _options(section))
        elif name in OMNISAFE:
            section.only(*OF_OMNISAFE, 'set')
            yield _Entry(name, section, _options(section, of_omnisafe=True))
        elif name in GAPS:
            section.wrong(f'{name}: {GAPS[name]}')
        else:
            known = ', '.join(sorted([*ALGORITHMS, *OMNISAFE]))
            section.wrong(f"unknown algorithm '{name}'; use {known}")


def _settings(top: Section) -> Iterator[_Entry]:
    for name, section in top.names('settings') if 'settings' in top else ():
        if not re.fullmatch(r'\w[\w.-]*', name):
            section.wrong(f"settings.{name}: it names a folder; use letters, digits, '.', '_', '-'")
        yield _Entry(name, section, Options(overrides=_overrides(section)))


def _seeds(top: Section) -> list[int]:
    value = top.value('seeds')
    try:
        return seed_list(','.join(map(str, value)) if isinstance(value, list) else str(value))
    except argparse.ArgumentTypeError as error:
        top.wrong(f'seeds: {error}', 'seeds')
    return []


def _options(section: Section, of_omnisafe: bool = False) -> Options:
    given: dict[str, Any] = {}
    place = f'{section.name}.' if section.name else ''
    for key, least in COUNTS.items():
        if key not in section:
            continue
        value = section.value(key)
        if type(value) is int and value >= least:
            given[key] = value
        else:
            section.wrong(f'{place}{key} is {value!r}, not a whole number from {least} on', key)
    if 'profile' in section:
        given['profile'] = section.text('profile')
        try:
            profile_path(given['profile'])
        except ValueError as error:
            section.wrong(f'{place}profile: {error}', 'profile')
            del given['profile']
    found = section.section('set') if 'set' in section else None
    if found is None:
        return Options(given)
    return Options(given, dict(found.values()) if of_omnisafe else _overrides(found))


def _overrides(section: Section) -> dict[str, Any]:
    """Settings by name, without those that are wrong."""
    sound: dict[str, Any] = {}
    for name, value in section.values():
        try:
            if '.' not in name:
                raise ValueError(f'{name}: write SECTION.NAME, as planner.d0')
            Settings().replace({name: value})
            sound[name] = value
        except ValueError as error:
            section.wrong(f'{section.name}: {_bare(error)}', name)
    return sound


def _bare(error: ValueError) -> str:
    return str(error).removeprefix('settings: ')
