# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of experiments in, one HTML page out."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml
from plotly.offline import get_plotlyjs

import loop_ros
from loop_ros.cli import runs
from loop_ros.cli.report import figures, published, tables
from loop_ros.cli.report.groups import Group, flat, group, settings_of
from loop_ros.settings import Settings

_HERE = Path(__file__).parent
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
    """What the page says about a task."""

    task: str
    anchor: str
    final: tables.Table
    beside: list[tables.Beside]
    figures: list[figures.Figure]
    configurations: list[Configuration]


def write(folders: list[Path], out: Path) -> None:
    """The report on all experiments below `folders`; ValueError where there is none to report."""
    found, problems = _read(folders)
    if not found:
        where = ', '.join(map(str, folders))
        raise ValueError(f'{where}: no finished experiment there (a folder with result.json)')
    tasks, doubles = group(found)
    problems += doubles
    for problem in problems:
        print(f'loop-ros report: left out: {problem}', file=sys.stderr)
    style = figures.styles([g.label for groups in tasks.values() for g in groups])
    known = published.load()
    sections = [
        _section(index, task, groups, [p for p in known if p.task == task], style)
        for index, (task, groups) in enumerate(tasks.items())
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_render(sections, problems), encoding='utf-8')


def _read(folders: list[Path]) -> tuple[list[runs.Run], list[str]]:
    found, problems = [], []
    for folder in runs.find(folders):
        try:
            found.append(runs.read(folder))
        except ValueError as error:
            problems.append(str(error))
    return found, problems


def _section(
    index: int,
    task: str,
    groups: list[Group],
    known: list[published.Published],
    style: dict[str, figures.Style],
) -> Section:
    return Section(
        task,
        f'task-{index}-{re.sub(r"[^A-Za-z0-9]+", "-", task)}',
        tables.final(groups),
        tables.beside(groups, known),
        figures.draw(groups, known, style),
        [_configuration(g.label, run) for g in groups for run in g.runs],
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


def _render(sections: list[Section], problems: list[str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template('template.html').render(
        sections=sections,
        problems=problems,
        num_runs=sum(len(section.configurations) for section in sections),
        version=loop_ros.__version__,
        plotlyjs=get_plotlyjs(),
        script=(_HERE / 'page.js').read_text(encoding='utf-8'),
        style=(_HERE / 'page.css').read_text(encoding='utf-8'),
        json=_json,
    )


def _json(figure: figures.Figure) -> str:
    """A figure for a script element; plotly writes < and / as escapes, so nothing ends it early."""
    return str(figure.drawn.to_json())
