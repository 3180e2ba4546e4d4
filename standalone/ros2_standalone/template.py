# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""The grammar of text with substitutions: `$(name argument 'quoted $(nested) argument')`.

A backslash escapes the character after it; `$` not followed by `(` is text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ros2_standalone.errors import SubstitutionError

_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_-]*')


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text, escapes already resolved."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """`$(name arguments...)`; each argument is a template of its own."""

    name: str
    arguments: tuple['Template', ...]


Template = tuple[Text | Call, ...]


def parse_template(source: str) -> Template:
    """Split source into text and calls; an empty source gives one empty text.

    :raises SubstitutionError: an unclosed or malformed `$(...)`.
    """
    if not source:
        return (Text(''),)
    return _Parser(source).template(quote='')


class _Parser:
    """A recursive descent over one source string; `quote` is the quote we are inside, if any."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def template(self, quote: str) -> Template:
        """Text and calls up to the closing quote, or to the end when there is none."""
        return self._parts(quote, lambda: bool(quote) and self._peek() == quote)

    def _parts(self, quote: str, at_end: Callable[[], bool]) -> Template:
        parts: list[Text | Call] = []
        while self.at < len(self.source) and not at_end():
            if self._at_call():
                parts.append(self._call(quote))
            else:
                parts.append(self._text(at_end))
        return tuple(parts)

    def _text(self, at_end: Callable[[], bool]) -> Text:
        characters: list[str] = []
        while self.at < len(self.source) and not at_end():
            if self._at_call():
                break
            if self._peek() == '\\' and self.at + 1 < len(self.source):
                self.at += 1
            characters.append(self._peek())
            self.at += 1
        return Text(''.join(characters))

    def _call(self, quote: str) -> Call:
        self.at += 2
        match = _NAME.match(self.source, self.at)
        if match is None:
            raise self._error('a name is expected after $(')
        self.at = match.end()
        arguments: list[Template] = []
        while self._peek() == ' ':
            self.at += 1
            arguments.append(self._argument(quote))
        if self._peek() != ')':
            raise self._error("')' is expected")
        self.at += 1
        return Call(match.group(), tuple(arguments))

    def _argument(self, quote: str) -> Template:
        opening = self._peek()
        if not quote and opening and opening in '\'"':
            self.at += 1
            parts = self.template(quote=opening)
            if self._peek() != opening:
                raise self._error(f'the quote {opening} is not closed')
            self.at += 1
            return parts
        stops = ' ()' + (quote or '\'"')
        parts = self._parts(quote, lambda: self._peek() in stops)
        if not parts:
            raise self._error('an argument is expected (one space between arguments)')
        return parts

    def _at_call(self) -> bool:
        # A backslash before it keeps `$(` text, even an escaped one, as in upstream's grammar.
        escaped = self.at > 0 and self.source[self.at - 1] == '\\'
        return not escaped and self.source.startswith('$(', self.at)

    def _peek(self) -> str:
        return self.source[self.at] if self.at < len(self.source) else ''

    def _error(self, what: str) -> SubstitutionError:
        return SubstitutionError(f"cannot parse '{self.source}' at column {self.at + 1}: {what}")
