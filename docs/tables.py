# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A table in Markdown; nothing where it has no rows."""
    lines = [[str(cell).replace('|', '\\|').replace('\n', ' ') for cell in row] for row in rows]
    if not lines:
        return
    for line in (head, ['---'] * len(head), *lines):
        yield f'| {" | ".join(line)} |'
    yield ''


def code(value: object) -> str:
    """A value as code; nothing where it is empty."""
    return f'`{value}`' if str(value) else ''
