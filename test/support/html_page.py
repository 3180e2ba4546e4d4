# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is in an HTML page, and that it needs nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from loop_ros.cli.main import main


class Page(HTMLParser):
    """The tags of a page, each closed, and the text of its table rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}  # by the tag they are in
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], 'not closed'

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != 'meta':
            self._open.append(tag)
        if tag == 'tr':
            self.rows.append([])
        elif tag in ('td', 'th'):
            self.rows[-1].append('')

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)
            if {'td', 'th'} & set(self._open):
                self.rows[-1][-1] += data


def report(*folders: Path, out: Path) -> tuple[str, Page]:
    """Run `loop-ros report`; the text of its page, and what is in it."""
    assert main(['report', *map(str, folders), '--out', str(out)]) == 0
    text = out.read_text(encoding='utf-8')
    return text, Page(text)


def assert_loads_nothing(text: str, page: Page) -> None:
    """Every link is to an anchor that the page has; nothing is fetched."""
    for tag, attributes in page.tags:
        assert tag not in ('link', 'img', 'iframe', 'object', 'embed', 'base')
        assert 'src' not in attributes
        if 'href' in attributes:
            assert str(attributes['href']).startswith('#')
    for style in page.texts['style']:
        assert 'url(' not in style and '@import' not in style
    anchors = {attributes.get('id') for _, attributes in page.tags}
    assert {f'#{name}' for name in anchors} >= {a['href'] for _, a in page.tags if 'href' in a}
    # The library once, the rest of the page without any address but the sources, which are text.
    (library,) = [script for script in page.texts['script'] if len(script) > 1e6]
    assert '://' not in text.replace(library, '')
