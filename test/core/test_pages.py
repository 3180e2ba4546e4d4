# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages tell people to type is understood, and where they point to is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml
from pages import PAGES, commands
from source_tree import TREE

from loop_ros.cli import main as command_line
from loop_ros.cli.algorithms import OMNISAFE
from loop_ros.cli.arguments import overrides
from loop_ros.settings import Settings

REFERENCE = TREE / 'docs/reference'  # written by docs/reference.py
STANDING_FOR = {'SEED': '0', '$seed': '0', 'ALGORITHM': 'loop_sac'}


def calls(program: str) -> list[object]:
    """Arguments of a program, wherever a page calls it."""
    return [
        pytest.param(list(command.words[place + 1 :]), id=f'{command.page}:{command.line}-{place}')
        for page in PAGES
        for command in commands(page)
        for place, word in enumerate(command.words)
        if word == program or word.endswith(f'/{program}')
    ]


@pytest.mark.parametrize('words', calls('loop-ros'))
def test_loop_ros_understands_its_arguments(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [STANDING_FOR.get(word, word) for word in words]
    if '--help' in words or not words:
        return
    try:
        options = command_line.make_parser().parse_args(words)
    except SystemExit:
        pytest.fail(capsys.readouterr().err.strip().splitlines()[-1])
    if getattr(options, 'set', None) and getattr(options, 'algorithm', None) not in OMNISAFE:
        Settings().replace(overrides(options))


@pytest.mark.parametrize('path', PAGES, ids=lambda path: str(path.relative_to(TREE)))
def test_settings_have_the_names_that_pages_give_them(path: Path) -> None:
    sections = Settings().to_dict()
    for section, name in re.findall(r'`(\w+)\.(\w+)(?:=[^`]*)?`', path.read_text(encoding='utf-8')):
        if section in sections and name not in ('py', 'yaml', 'md'):
            assert name in sections[section], f'{section}.{name} is no setting'


def launch_arguments(file: Path) -> set[str]:
    """Of a launch file, with those of the files that it includes."""
    found: set[str] = set()
    for entry in yaml.safe_load(file.read_text(encoding='utf-8'))['launch']:
        if 'arg' in entry:
            found.add(entry['arg']['name'])
        if 'include' in entry:
            name = entry['include']['file'].rpartition('/')[2]
            if (TREE / 'launch' / name).is_file() and name != file.name:
                found |= launch_arguments(TREE / 'launch' / name)
    return found


@pytest.mark.parametrize('words', calls('ros2'))
def test_launch_files_have_the_arguments(words: list[str]) -> None:
    if words[0] != 'launch':
        return
    folder = TREE if words[1] == 'loop_ros' else TREE / 'examples' / words[1]
    if not folder.is_dir():  # of a package that somebody writes or has
        return
    name = words[2].removesuffix('.py').removesuffix('.yaml')
    known = launch_arguments(folder / 'launch' / f'{name}.yaml')
    for word in words[3:]:
        argument, assigned, _ = word.partition(':=')
        assert not assigned or argument in known, f'{words[2]} has no argument {argument}'


def written(path: Path) -> str:
    """A page's text; of one that `make docs` writes its headings at least."""
    if path.parent != REFERENCE:
        return path.read_text(encoding='utf-8')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TREE / 'docs')
        pages = importlib.import_module('reference').PAGES
        nodes = importlib.import_module('reference_nodes').NODES
    assert path.stem in pages, f'{path.name} is not written'
    lines = (f'## {name}' for name in nodes) if path.stem == 'nodes' else pages[path.stem]()
    return '\n'.join(lines)


def anchors(path: Path) -> set[str]:
    """Of a page's headings, as they are made of their text."""
    headings = re.findall(r'^#+ (.+)$', written(path), re.MULTILINE)
    plain = (re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings)
    return {text.strip().replace(' ', '-') for text in plain}


@pytest.mark.parametrize('path', PAGES, ids=lambda path: str(path.relative_to(TREE)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r'```.*?```', '', path.read_text(encoding='utf-8'), flags=re.DOTALL)
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'https?:|mailto:', link):
            continue
        name, _, anchor = link.partition('#')
        target = (path.parent / name).resolve() if name else path
        there = written(target) if target.parent == REFERENCE else target.exists()
        assert there, f'{link}: no such file'
        assert not anchor or anchor in anchors(target), f'{link}: no such heading'
