# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Supervises the processes of a launch: output, respawn, shutdown, escalation, exit code.

One thread, one selector: it waits for output, for the end of a process, for a signal or a timer.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from ros2_standalone.process import Pipe, Process, ProcessSpec

_SHUTDOWN_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Starts processes, passes on their output, and runs until all of them have ended."""

    def __init__(
        self,
        specs: list[ProcessSpec],
        screen: Callable[[str], None],
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._processes = [Process(spec) for spec in specs]
        self._screen = screen
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._received: list[int] = []
        self._shutting_down = False
        self._first_failure = 0

    def run(self) -> int:
        """Run to the end and return the exit code.

        0 after a shutdown by signal or by a cleanly ended process with on_exit: shutdown, else the
        code of the first process that failed (128 + N if signal N ended it).
        """
        wakeup_read, wakeup_write = os.pipe()
        for end in (wakeup_read, wakeup_write):
            os.set_blocking(end, False)
        self._selector.register(wakeup_read, selectors.EVENT_READ)
        previous_fd = signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        previous = {n: signal.signal(n, self._receive) for n in _SHUTDOWN_SIGNALS}
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            while self._step(wakeup_read):
                pass
        finally:
            for process in self._processes:
                process.signal(signal.SIGKILL)  # nothing is left unless this method itself failed
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_fd)
            self._selector.close()
            os.close(wakeup_read)
            os.close(wakeup_write)
        return self._first_failure

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)

    def _step(self, wakeup_read: int) -> bool:
        """Start what is due, wait for something to happen, handle it; False when all is over."""
        for process in self._processes:
            if process.start_at is not None and process.start_at <= time.monotonic():
                self._start(process)
        if all(p.popen is None and p.start_at is None for p in self._processes):
            return False
        for key, _ in self._selector.select(self._until_next_timer()):
            if key.fd == wakeup_read:
                os.read(wakeup_read, 4096)
            elif not key.data.read():
                self._selector.unregister(key.fileobj)
        self._handle_signals()
        for process in self._processes:
            self._escalate(process)
            if process.has_ended():
                self._ended(process)
        return True

    def _until_next_timer(self) -> float | None:
        times = [p.start_at for p in self._processes if p.start_at is not None]
        times += [p.escalations[0][0] for p in self._processes if p.escalations]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _start(self, process: Process) -> None:
        name = process.spec.name
        try:
            pid = process.start()
        except OSError as error:
            self._say('ERROR', name, f"cannot start '{process.spec.command[0]}': {error.strerror}")
            self._failed(127)
            return
        self._say('INFO', name, f'process started with pid [{pid}]')
        assert process.popen is not None
        for stream, is_stdout in ((process.popen.stdout, True), (process.popen.stderr, False)):
            assert stream is not None
            pipe = Pipe(stream, self._writer(process.spec, is_stdout))
            process.pipes.append(pipe)
            self._selector.register(stream, selectors.EVENT_READ, pipe)

    def _writer(self, spec: ProcessSpec, is_stdout: bool) -> Callable[[str], None]:
        def write(line: str) -> None:
            if spec.output in ('log', 'both'):
                self._log(f'[{spec.name}] {line}')
            if spec.output in ('screen', 'both') or not is_stdout:
                self._screen(f'[{spec.name}] {line}')

        return write

    def _ended(self, process: Process) -> None:
        assert process.popen is not None
        spec, pid = process.spec, process.popen.pid
        code = process.reap()
        self._drain(process)
        if code == 0:
            self._say('INFO', spec.name, f'process has finished cleanly [pid {pid}]')
        else:
            command = ' '.join(part for part in spec.command if part.strip())
            self._say(
                'ERROR',
                spec.name,
                f"process has died [pid {pid}, exit code {code}, cmd '{command}'].",
            )
        if self._shutting_down:
            return
        retries_left = spec.respawn_max_retries < 0 or process.retries < spec.respawn_max_retries
        if spec.respawn and retries_left and not spec.shutdown_on_exit:
            process.retries += 1
            process.start_at = time.monotonic() + spec.respawn_delay
            return
        if code != 0:
            self._failed(128 - code if code < 0 else code)
        if spec.shutdown_on_exit:
            self._say(
                'INFO',
                'launch',
                f'process[{spec.name}] was required: shutting down launched system',
            )
            self._shut_down()

    def _drain(self, process: Process) -> None:
        """Pass on what the pipes still hold; something outside the group may keep them open."""
        for pipe in process.pipes:
            if pipe.stream in {key.fileobj for key in self._selector.get_map().values()}:
                self._selector.unregister(pipe.stream)
                pipe.read()
            pipe.close()
        process.pipes = []

    def _failed(self, code: int) -> None:
        self._first_failure = self._first_failure or code

    def _handle_signals(self) -> None:
        while self._received:
            name = signal.Signals(self._received.pop(0)).name
            cause = 'ctrl-c ' if name == 'SIGINT' else ''
            if self._shutting_down:
                self._say('WARNING', 'launch', f'user interrupted with {cause}({name}) again')
                continue
            self._say('WARNING', 'launch', f'user interrupted with {cause}({name})')
            self._first_failure = 0  # ending it is what the person wants
            self._shut_down()

    def _shut_down(self) -> None:
        self._shutting_down = True
        for process in self._processes:
            process.start_at = None
            if process.popen is None:
                continue
            spec, now = process.spec, time.monotonic()
            self._say('INFO', spec.name, f"sending signal 'SIGINT' to process[{spec.name}]")
            process.signal(signal.SIGINT)
            term_at = now + spec.sigterm_timeout
            process.escalations = [
                (term_at, signal.SIGTERM),
                (term_at + spec.sigkill_timeout, signal.SIGKILL),
            ]

    def _escalate(self, process: Process) -> None:
        while process.escalations and process.escalations[0][0] <= time.monotonic():
            number, name = process.escalations.pop(0)[1], process.spec.name
            message = f"process[{name}] does not end: sending signal '{number.name}'"
            self._say('ERROR', name, message)
            process.signal(number)

    def _say(self, level: str, name: str, message: str) -> None:
        line = f'[{level}] [{name}]: {message}'
        self._screen(line)
        self._log(line)


def screen_writer(stream: TextIO) -> Callable[[str], None]:
    """Return a writer of whole lines that survives a closed terminal or pipe."""

    def write(line: str) -> None:
        try:
            stream.write(line + '\n')
            stream.flush()
        except (BrokenPipeError, OSError):
            pass  # the reader is gone; the nodes must still be shut down in order

    return write
