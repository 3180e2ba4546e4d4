# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress bars of commands, on standard error."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from rich import progress
from rich.console import Console
from rich.text import Text

Item = TypeVar('Item')


class _TimeLeft(progress.ProgressColumn):
    """The time that a task still takes, as far as it can be told."""

    max_refresh = 0.5  # s

    def render(self, task: progress.Task) -> Text:
        """Two numbers without a word would leave open which is which."""
        seconds = task.time_remaining
        if task.finished or seconds is None:
            return Text()
        return Text(f'{timedelta(seconds=round(seconds))} left')


def bars(quiet: bool = False) -> progress.Progress:
    """The bars of a long run, with the time gone and the time left.

    Every task has `metrics`, a text at its end. `quiet`: none.
    """
    return progress.Progress(
        progress.TextColumn('{task.description}'),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        _TimeLeft(),
        progress.TextColumn('{task.fields[metrics]}'),
        console=Console(stderr=True),
        disable=quiet,
        speed_estimate_period=600.0,  # s; an episode or a model may take a minute
    )


def track(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """The items, with a bar that goes when they end; none where nobody looks at a terminal."""
    console = Console(stderr=True)
    quiet = not console.is_terminal
    return progress.track(items, label, total=total, console=console, transient=True, disable=quiet)
