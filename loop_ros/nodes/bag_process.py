# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag record` as a child, begun and ended by an operator."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

END_TIMEOUT = 5.0  # s for a bag to be finished
TOPICS = ('odom', 'state', 'command', 'transition', 'planner/telemetry')  # that training needs


class BagProcess:
    """At most one bag at a time."""

    def __init__(self, folder: Path, namespace: str) -> None:
        """Bags are named by date and time; their topics are those of `namespace`."""
        self._folder, self._root = folder, namespace.rstrip('/')
        self._process: subprocess.Popen[bytes] | None = None
        self._path = Path()

    @property
    def path(self) -> str:
        """Of the bag that is being written; empty where none is."""
        running = self._process is not None and self._process.poll() is None
        return str(self._path) if running else ''

    def start(self) -> str:
        """Begin one and return its path; ValueError or OSError where that cannot be."""
        if self.path:
            raise ValueError(f'{self.path} is being recorded')
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / time.strftime('%Y-%m-%d_%H-%M-%S')
        self._process = subprocess.Popen(self._command(), start_new_session=True)
        return str(self._path)

    def stop(self) -> str:
        """End it and return its path; empty where there was none."""
        process, path = self._process, self.path
        self._process = None
        if process is None or not path:
            return ''
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
        return path

    def _command(self) -> Sequence[str]:
        topics = [f'{self._root}/{name}' for name in TOPICS]
        record = ['ros2', 'bag', 'record', '-s', 'mcap', '-o', str(self._path), '--topics']
        return [*record, *topics, '/parameter_events']
