# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress bars of commands, on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rich import progress
from rich.console import Console

Item = TypeVar('Item')


def bars(quiet: bool = False) -> progress.Progress:
    """The bars of a long run; every task has `metrics`, a text at its end. `quiet`: none."""
    return progress.Progress(
        progress.TextColumn('{task.description}'),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn('{task.fields[metrics]}'),
        console=Console(stderr=True),
        disable=quiet,
    )


def track(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a bar that goes when they end; none where nobody looks at a terminal."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    return progress.track(items, label, total=total, console=console, transient=True, disable=quiet)
