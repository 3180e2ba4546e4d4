# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a long command says of its time."""

from __future__ import annotations

import io

from rich.console import Console

from loop_ros.progress import bars


def test_the_time_left_is_said() -> None:
    progress, now = bars(), 100.0
    progress.get_time = lambda: now
    bar = progress.add_task('safeloop', total=1000, metrics='return -8.0')

    def line() -> str:
        console = Console(file=io.StringIO(), width=120)
        console.print(progress.make_tasks_table(progress.tasks))
        return console.file.getvalue()

    assert 'left' not in line()  # nobody knows yet
    for done in (200, 400):
        now += 60.0
        progress.update(bar, completed=done)
    assert '0:02:00 0:03:00 left return -8.0' in line()  # 200 a minute, 600 to go
    progress.update(bar, completed=1000)
    assert 'left' not in line()
