# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the standalone ros2 share: its import path, its command line, processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from source_tree import TREE

from ros2_standalone.discovery import announce_often

announce_often()  # the nodes of the tests too
COMMAND = [sys.executable, '-m', 'ros2_standalone']


def make_prefix(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `path` the install prefix, with a package 'demo' that has an executable 'run_me'."""
    index = path / 'share/ament_index/resource_index/packages'
    libexec = path / 'lib/demo'
    for folder in (index, libexec, path / 'share/demo/launch'):
        folder.mkdir(parents=True)
    (index / 'demo').touch()
    (libexec / 'run_me').write_text('#!/bin/sh\n')
    (libexec / 'run_me').chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(path))
    return path


def ros2(
    *arguments: str | Path, timeout: float = 30.0, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the standalone ros2 to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | changes,
    )


def start(*arguments: str | Path, **changes: str) -> subprocess.Popen[str]:
    """Start the standalone ros2; stderr goes with stdout."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | changes,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read a process's lines up to the one that contains text, and return them."""
    assert process.stdout is not None
    lines = ''
    for line in process.stdout:
        lines += line
        if text in line:
            return lines
    raise AssertionError(f'{text!r} never came:\n{lines}')


@contextlib.contextmanager
def talking() -> Iterator[None]:
    """Keep a node running that publishes and serves (standalone_talker.py)."""
    process = subprocess.Popen(
        [sys.executable, str(TREE / 'test/support/standalone_talker.py')],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    read_until(process, 'ready')
    try:
        yield
    finally:
        process.kill()
        process.communicate(timeout=10)


def interrupt(process: subprocess.Popen[str]) -> str:
    """Send Ctrl-C and return what came until the end."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=20)[0]


def wait_until(condition: Callable[[], bool], timeout: float = 30.0) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, 'it did not happen in time'
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False
