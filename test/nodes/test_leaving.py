# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A process ends in time with its own exit code, even where a library hangs for good."""

from __future__ import annotations

import subprocess
import sys

import pytest

# PyDLL keeps the interpreter's lock while it waits, as rclpy does while it deletes a participant.
HANG = """
import ctypes, sys
from loop_ros.process_end import end_within
end_within(0.2, int(sys.argv[1]))
ctypes.PyDLL(None).pause()
"""


# A learner whose training outlasts the end of its node.
BUSY = """
import sys, threading, torch
from loop_ros.process_end import end_despite_threads
begun = threading.Event()
def train():
    a = torch.zeros(500, 500)
    while True:
        a = a @ a
        a.sum().item()
        begun.set()
threading.Thread(target=train, daemon=True).start()
begun.wait()
print('last words')
end_despite_threads(int(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize('code', [0, 3])
def test_a_thread_that_works_on_does_not_abort_the_process(code: int) -> None:
    command = [sys.executable, '-c', BUSY, str(code)]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, 'last words\n', '')


@pytest.mark.parametrize('code', [0, 3])
def test_a_hang_that_holds_the_interpreter_ends_with_the_code(code: int) -> None:
    command = [sys.executable, '-c', HANG, str(code)]
    assert subprocess.run(command, timeout=20).returncode == code


def test_an_orderly_end_comes_first() -> None:
    program = 'from loop_ros.process_end import end_within; end_within(60.0, 9)'
    assert subprocess.run([sys.executable, '-c', program], timeout=20).returncode == 0
