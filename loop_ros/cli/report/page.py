# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of runs in, one HTML page out."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loop_ros.cli import runs
from loop_ros.cli.report import figures, files, offline, published, tables
from loop_ros.cli.report.groups import Group, flat, group, settings_of
from loop_ros.cli.report.render import render
from loop_ros.settings import Settings

_FACTS = ('seed', 'commit', 'version', 'machine', 'torch')


@dataclass(frozen=True)
class Configuration:
    """How to make a run again."""

    heading: str
    command: str
    facts: dict[str, str]
    settings: str  # YAML: what differs from the defaults


@dataclass(frozen=True)
class Section:
    """The part of the page about a task."""

    task: str
    anchor: str
    final: tables.Table | None  # None: no experiment
    beside: list[tables.Beside]
    figures: list[figures.Figure]
    offline: offline.Part | None
    configurations: list[Configuration]


def write(folders: list[Path], out: Path, pictures: Path | None = None) -> None:
    """The report on all runs below `folders`; ValueError where there is none to report.

    With a folder for `pictures` each figure is drawn there as a file too.
    """
    found, problems = _read(folders)
    if not found:
        where = ', '.join(map(str, folders))
        raise ValueError(
            f'{where}: no finished experiment there (a folder with result.json), nor training '
            'from bags (offline.json)'
        )
    tasks, doubles = group(run for run in found if not isinstance(run, runs.OfflineRun))
    problems += doubles
    for problem in problems:
        print(f'loop-ros report: left out: {problem}', file=sys.stderr)
    trained = offline.by_task(run for run in found if isinstance(run, runs.OfflineRun))
    style = figures.styles([g.label for groups in tasks.values() for g in groups])
    known = published.load()
    sections = [
        _section(
            index,
            task,
            tasks.get(task, []),
            trained.get(task, []),
            [p for p in known if p.task == task],
            style,
        )
        for index, task in enumerate(sorted({*tasks, *trained}))
    ]
    page = render(
        'template.html',
        sections=sections,
        problems=problems,
        num_runs=sum(len(section.configurations) for section in sections),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding='utf-8')
    if pictures is not None:
        for section in sections:
            files.write(section.figures, pictures, section.task)


def _read(folders: list[Path]) -> tuple[list[runs.Run], list[str]]:
    found: list[runs.Run] = []
    problems = []
    for folder in runs.find(folders):
        try:
            offline_run = runs.is_offline(folder)
            found.append(runs.read_offline(folder) if offline_run else runs.read(folder))
        except ValueError as error:
            problems.append(str(error))
    return found, problems


def _section(
    index: int,
    task: str,
    groups: list[Group],
    trained: list[offline.Labelled],
    known: list[published.Published],
    style: dict[str, figures.Style],
) -> Section:
    by_label = [(g.label, run) for g in groups for run in g.runs]
    by_label += [(each.run.result['algorithm'], each.run) for each in trained]
    return Section(
        task,
        f'task-{index}-{re.sub(r"[^A-Za-z0-9]+", "-", task)}',
        tables.final(groups) if groups else None,
        tables.beside(groups, known) if groups else [],
        figures.draw(groups, known, style) if groups else [],
        offline.part(trained) if trained else None,
        [_configuration(label, run) for label, run in by_label],
    )


def _configuration(label: str, run: runs.Run) -> Configuration:
    result = run.result
    facts = {name: str(result[name]) for name in _FACTS if result.get(name) not in (None, '')}
    facts.setdefault('commit', 'not recorded')
    if isinstance(result.get('wall_s'), int | float):
        facts['wall time'] = f'{result["wall_s"]:,.0f} s'
    return Configuration(
        f'{label}, seed {result.get("seed", "unknown")}: {run.folder}',
        str(result.get('command', 'not recorded')),
        facts,
        _differences(run),
    )


def _differences(run: runs.Run) -> str:
    """Settings that are not the defaults, which are the paper's tables, as a profile."""
    defaults = flat(Settings().to_dict())
    different: dict[str, Any] = {}
    for name, value in settings_of(run).items():
        if name not in defaults or defaults[name] != value:
            section, _, entry = name.partition('.')
            if entry:
                different.setdefault(section, {})[entry] = value
            else:
                different[name] = value
    return yaml.safe_dump(different, sort_keys=False) if different else '# all defaults'
