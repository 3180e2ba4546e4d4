# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A command in a process of its own that gets Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable


def interrupted(arguments: list[str], ready: Callable[[], bool], timeout: float) -> None:
    """Run Python with these arguments, interrupt it when ready; it says so and ends well."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + timeout
        while not ready():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=timeout)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert 'Traceback' not in output
    assert 'interrupted' in output
