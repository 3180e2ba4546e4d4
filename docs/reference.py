# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of reference, written from the code each time the site is built."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from reference_nodes import nodes
from tables import code, table

from loop_ros.cli import main
from loop_ros.settings import Settings

TREE = Path(__file__).resolve().parents[1]
API = ('agent', 'acting', 'together', 'runner', 'vector_runner', 'outlook', 'sim.task',
       'sim.lidar', 'types',
       'planning.planner', 'planning.search', 'planning.rollout', 'planning.weighting',
       'learning.learner', 'algorithms.sac', 'models.ensemble')  # fmt: skip


def write(folder: Path) -> None:
    """Write all pages into a folder, in which no others stay."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob('*.md'):
        if path.stem not in PAGES:
            path.unlink()
    for name, make in PAGES.items():
        text = '\n'.join(make()) + '\n'
        path = folder / f'{name}.md'
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')


def settings() -> Iterator[str]:
    """Each setting of a profile, by section."""
    yield '# Settings\n'
    yield 'Of profiles (YAML files) and `--set SECTION.NAME=VALUE`. Those of `planner` are'
    yield 'parameters of the planner node too; a *live* one may change while the robot drives.\n'
    for section in dataclasses.fields(Settings):
        yield f'## {section.name}\n'
        default = getattr(Settings(), section.name)
        yield from table(
            ('setting', 'default', 'range', 'live', 'what it is'), _settings_of(default)
        )


def _settings_of(section: Any) -> Iterator[Sequence[object]]:
    for item in dataclasses.fields(section):
        known = item.metadata
        low, high = known['minimum'], known['maximum']
        allowed = f'{low:g} to {high:g}' if low is not None and high is not None else ''
        allowed = ', '.join(known['choices']) or f'{allowed} {known["unit"]}'.strip()
        live = 'yes' if known['live'] else ''
        yield (
            code(item.name),
            code(getattr(section, item.name)),
            allowed,
            live,
            known['description'],
        )


def launch_files() -> Iterator[str]:
    """The arguments of each launch file, without those of files that it includes."""
    yield '# Launch arguments\n'
    files = {}
    for path in sorted((TREE / 'launch').glob('*.launch.yaml')):
        files[path.name] = yaml.safe_load(path.read_text(encoding='utf-8'))['launch']
    for name, entries in files.items():
        included = [e['include']['file'].rpartition('/')[2] for e in entries if 'include' in e]
        arguments = [entry['arg'] for entry in entries if 'arg' in entry]
        if not arguments:  # a part of another file
            continue
        yield f'## {name}\n'
        for other in sorted({*included} & {*files} - {name}):
            if any('arg' in entry for entry in files[other]):
                yield f'With the arguments of `{other}`.\n'
        yield from table(('argument', 'default', 'what it is'), map(_argument, arguments))


def _argument(entry: dict[str, Any]) -> Sequence[object]:
    what = entry.get('description', '')
    if choices := [choice['value'] for choice in entry.get('choice', []) if choice['value']]:
        what += f' (one of: {", ".join(choices)})'
    return code(entry['name']), code(entry.get('default', '')), what


def commands() -> Iterator[str]:
    """`loop-ros --help` and that of each command."""
    yield '# loop-ros\n'
    yield from _command(main.make_parser(), 'loop-ros')


def _command(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.prog = name
    if name != 'loop-ros':
        yield f'## {name}\n'
    yield f'```text\n{parser.format_help().strip()}\n```\n'
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                yield from _command(child, f'{name} {word}')


def api() -> Iterator[str]:
    """What the core's public modules say of themselves."""
    yield '# Python\n'
    for name in API:
        yield f'## loop_ros.{name}\n'
        yield f'```{{eval-rst}}\n.. automodule:: loop_ros.{name}\n   :members:'
        yield '   :member-order: bysource\n```\n'


PAGES = {
    'settings': settings,
    'launch': launch_files,
    'commands': commands,
    'nodes': nodes,
    'api': api,
}
