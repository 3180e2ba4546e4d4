# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML whose mistakes can be named by their line, all of them at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from loop_ros import plain_yaml

_MISSING: Any = object()


class Mistakes:
    """What is wrong in a file, by line."""

    def __init__(self, path: Path) -> None:
        self.path, self._found = path, dict[tuple[int, str], None]()

    def add(self, line: int, text: str) -> None:
        """Remember one."""
        self._found[line, text] = None

    def report(self) -> None:
        """ValueError with all of them, if there is one."""
        if self._found:
            raise ValueError('\n'.join(f'{self.path}:{n}: {text}' for n, text in self._found))


class Section:
    """A mapping in the file; what is taken out of it is checked, what is left is a mistake."""

    def __init__(self, node: yaml.Node, name: str, mistakes: Mistakes) -> None:
        self.name, self.mistakes, self.line = name, mistakes, node.start_mark.line + 1
        self._items: dict[str, tuple[yaml.Node, int]] = {}
        if not isinstance(node, yaml.MappingNode):
            self.wrong(f'{name} is not a mapping')
            return
        for key, value in node.value:
            if str(key.value) in self._items:
                mistakes.add(
                    key.start_mark.line + 1, f"'{key.value}' stands twice in {name or 'the file'}"
                )
            self._items[str(key.value)] = value, key.start_mark.line + 1

    def wrong(self, text: str, key: str = '') -> None:
        """Note a mistake at a key's line, or the section's."""
        self.mistakes.add(self._items[key][1] if key in self._items else self.line, text)

    def line_of(self, key: str) -> int:
        """Where a key stands."""
        return self._items[key][1] if key in self._items else self.line

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def sections(self) -> Iterator[tuple[str, Section]]:
        """Every entry as a section of its own."""
        for key in self._items:
            yield key, self.section(key)

    def section(self, key: str) -> Section:
        """An entry as a section."""
        node, line = self._items[key]
        found = Section(node, f'{self.name}.{key}' if self.name else key, self.mistakes)
        found.line = line
        return found

    def items(self, key: str) -> list[Section]:
        """The entries of a list of sections."""
        node = self._items[key][0]
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(f'{self.name}.{key} is not a list', key)
            return []
        return [Section(each, f'{self.name}.{key}', self.mistakes) for each in node.value]

    def names(self, key: str) -> Iterator[tuple[str, Section]]:
        """The entries of a list of names, or of a mapping whose values may be left out."""
        node = self._items[key][0]
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        if isinstance(node, yaml.SequenceNode):
            pairs = [(each, None) for each in node.value]
        place = f'{self.name}.{key}' if self.name else key
        if not pairs or not all(isinstance(name, yaml.ScalarNode) for name, _ in pairs):
            self.wrong(f'{place} is neither a list of names nor a mapping by names', key)
            return
        filled = [
            (name, yaml.MappingNode('', [], name.start_mark) if _is_null(value) else value)
            for name, value in pairs
        ]
        mapping = yaml.MappingNode('', filled, node.start_mark)
        yield from Section(mapping, place, self.mistakes).sections()

    def text(self, key: str, default: str = _MISSING, choices: tuple[str, ...] = ()) -> str:
        """A text; empty, with a mistake, where it is missing or none of the choices."""
        value = self._value(key, default)
        if value is not _MISSING and not isinstance(value, str):
            value = str(value)
        if value is not _MISSING and choices and value not in choices:
            self.wrong(f"{self.name}.{key} is '{value}', not one of {', '.join(choices)}", key)
        return '' if value is _MISSING else str(value)

    def number(
        self, key: str, default: float = _MISSING, low: float = -math.inf, high: float = math.inf
    ) -> float:
        """A number within limits; NaN, with a mistake, for anything else."""
        value = self._value(key, default)
        if value is _MISSING:
            return math.nan
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            self.wrong(f'{self.name}.{key} is {value!r}, not a number', key)
        elif not low <= value <= high:
            self.wrong(f'{self.name}.{key} is {value:g}, outside [{low:g}, {high:g}]', key)
        else:
            return float(value)
        return math.nan

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """So many finite numbers; zeros, with a mistake, for anything else."""
        value = self._value(key, _MISSING)
        if value is _MISSING:
            return (0.0,) * count
        sound = isinstance(value, list) and len(value) == count
        if not sound or not all(type(v) in (int, float) and math.isfinite(v) for v in value):
            self.wrong(f'{self.name}.{key} is {value!r}, not {count} numbers', key)
            return (0.0,) * count
        return tuple(map(float, value))

    def values(self) -> Iterator[tuple[str, Any]]:
        """Every entry as YAML has it."""
        for key, (node, _) in self._items.items():
            yield key, _plain(node)

    def value(self, key: str) -> Any:
        """An entry as YAML has it; None, with a mistake, where it is missing."""
        found = self._value(key, _MISSING)
        return None if found is _MISSING else found

    def only(self, *known: str) -> None:
        """Everything else in it is a mistake."""
        for key in self._items:
            if key not in known:
                place = f'{self.name}.{key}' if self.name else key
                self.wrong(f'{place} is unknown; use {", ".join(known)}', key)

    def _value(self, key: str, default: Any) -> Any:
        if key in self._items:
            return _plain(self._items[key][0])
        if default is _MISSING:
            self.wrong(f'{self.name} has no {key}' if self.name else f'no {key}')
        return default


def read(path: Path) -> tuple[Section, Mistakes]:
    """The file as one section; ValueError where it is not YAML, OSError where it is not there."""
    mistakes = Mistakes(path)
    text = path.read_text(encoding='utf-8')
    try:
        plain_yaml.load(text)  # in bounded time and memory
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    node = yaml.compose(text, yaml.SafeLoader)
    if node is None:
        raise ValueError(f'{path}: empty')
    return Section(node, '', mistakes), mistakes


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or node.tag == 'tag:yaml.org,2002:null'


def _plain(node: yaml.Node) -> Any:
    return yaml.SafeLoader('').construct_document(node)
