# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One run as a process of its own: its command, its folder, how far it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """A run of loop-ros that writes into a folder of its own."""

    name: str  # for people
    folder: Path
    arguments: list[str]  # of loop-ros
    steps: int
    gpus: float = 0.0  # of one GPU, for whoever gives them out

    @property
    def log(self) -> Path:
        """What the process prints."""
        return self.folder / 'log.txt'

    def steps_done(self) -> int:
        """How far it has come, by the last line of its table."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            with (self.folder / 'progress.csv').open('rb') as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
                lines = file.read().decode().splitlines()
            return min(self.steps, int(float(lines[-1].split(',')[0])))
        return 0

    def last_words(self) -> str:
        """The last line of its log."""
        with contextlib.suppress(OSError):
            if lines := self.log.read_text(encoding='utf-8', errors='replace').strip().splitlines():
                return lines[-1]
        return 'no message'


class Running(Protocol):
    """A job that was started, here or elsewhere; a `subprocess.Popen` is one."""

    def poll(self) -> int | None:
        """The exit code; None while it runs."""

    def send_signal(self, sig: int, /) -> None:
        """Pass a signal to it."""


def start(job: Job, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Start it on this machine, in a working folder or this process's; the log grows.

    It dies with the thread that started it: an orphan and the same job, started again, would write
    into one folder.
    """
    command = ['setpriv', '--pdeathsig', 'KILL', sys.executable, '-m', 'loop_ros.cli.main']
    environment = {'OMP_NUM_THREADS': '1', **os.environ}
    job.folder.mkdir(parents=True, exist_ok=True)
    with job.log.open('ab') as log:
        return subprocess.Popen(
            [*command, *job.arguments],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,  # Ctrl-C reaches it by `send_signal` only
        )
