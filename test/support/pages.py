# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages, and the commands that they tell people to type."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from source_tree import TREE

PAGES = sorted(
    path
    for pattern in ('*.md', 'docs/**/*.md', 'examples/**/*.md', 'standalone/*.md')
    for path in TREE.glob(pattern)
)


@dataclass(frozen=True)
class Command:
    """A command of a page, without those that stand beside it in its line."""

    page: str  # from the top of the tree
    line: int
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return ' '.join(self.words)

    def __str__(self) -> str:
        return f'{self.page}:{self.line}: {self.text}'


def commands(page: Path) -> Iterator[Command]:
    """Each command in a page's shell blocks."""
    for line, text in _lines(page):
        lexer = shlex.shlex(text, posix=True, punctuation_chars=';&|')
        lexer.whitespace_split = True
        for is_end, words in itertools.groupby(lexer, lambda word: set(word) <= set(';&|')):
            if not is_end:
                yield Command(str(page.relative_to(TREE)), line, tuple(words))


def _lines(page: Path) -> Iterator[tuple[int, str]]:
    """Each line of the shell blocks and its number; continued lines in one."""
    inside, begun, text = False, 0, ''
    for number, line in enumerate(page.read_text(encoding='utf-8').splitlines(), 1):
        if line.strip().startswith('```'):
            inside, text = line.strip() == '```sh', ''
            continue
        if not inside:
            continue
        begun = begun if text else number
        text += line.removesuffix('\\')
        if not line.endswith('\\'):
            yield begun, text
            text = ''
