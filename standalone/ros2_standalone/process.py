# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One supervised process: what to start, its output, its signals.

Each process leads a process group of its own, so that a signal reaches what it started in turn,
and on Linux the kernel kills it when the launcher dies.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None


@dataclass(frozen=True)
class ProcessSpec:
    """What to start, and what to do when it ends.

    output: screen (all of it), log (stderr to the screen, all to the log file) or both.
    respawn_delay, sigterm_timeout (after SIGINT), sigkill_timeout (after SIGTERM): in s.
    respawn_max_retries: negative for no limit.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    cwd: str | None = None
    output: str = 'log'
    shutdown_on_exit: bool = False
    respawn: bool = False
    respawn_delay: float = 0.0
    respawn_max_retries: int = -1
    sigterm_timeout: float = 5.0
    sigkill_timeout: float = 5.0


class Pipe:
    """One output stream of a process: bytes in, whole lines out."""

    def __init__(self, stream: IO[bytes], write: Callable[[str], None]) -> None:
        self.stream = stream
        self._write = write
        self._rest = b''
        os.set_blocking(stream.fileno(), False)

    def read(self) -> bool:
        """Pass on what there is; False at the end of the stream."""
        try:
            data = os.read(self.stream.fileno(), 65536)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + data).split(b'\n')
        for line in lines:
            self._write(line.decode(errors='replace'))
        return bool(data)

    def close(self) -> None:
        """Pass on a last line without an end."""
        if self._rest:
            self._write(self._rest.decode(errors='replace'))
            self._rest = b''
        self.stream.close()


class Process:
    """One running process and its timers."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.popen: subprocess.Popen[bytes] | None = None
        self.pipes: list[Pipe] = []
        self.retries = 0
        self.start_at: float | None = 0.0  # when to (re)start, monotonic s; None: do not
        self.escalations: list[tuple[float, signal.Signals]] = []  # when to send what

    def start(self) -> int:
        """Start the process and return its process id."""
        launcher = os.getpid()
        self.start_at = None
        self.popen = subprocess.Popen(
            self.spec.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.spec.environment,
            cwd=self.spec.cwd,
            process_group=0,
            preexec_fn=lambda: _die_with(launcher),  # safe: this program has one thread
        )
        return self.popen.pid

    def has_ended(self) -> bool:
        """Tell whether the process ended, leaving it a zombie so that its group id stays taken."""
        if self.popen is None:
            return False
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.popen.pid, options) is not None

    def signal(self, number: signal.Signals) -> None:
        """Signal the process and all that it started in its group."""
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # all ended already
                os.killpg(self.popen.pid, number)

    def reap(self) -> int:
        """End what is left of the group and return the exit code (-N for signal N)."""
        assert self.popen is not None
        self.signal(signal.SIGKILL)
        code = self.popen.wait()
        self.popen = None
        self.escalations = []
        return code


def _die_with(launcher: int) -> None:
    """In the child before exec: have the kernel kill us when the launcher dies."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:  # it died before prctl
            os._exit(1)
