# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that writes snapshots: which, when, how many. What is in them is said elsewhere."""

from __future__ import annotations

import itertools
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from loop_ros.control.flight_recorder import KINDS, Trigger

TAIL = 2.0  # s that are recorded after something happened
COOL_DOWN = 60.0  # s between two snapshots of the same subject
LEAST_ROOM = 256 * 2**20  # bytes that stay free on the disk
END_WITHIN = 3.0  # s for the last one, when the node leaves
STALE = 3600.0  # s after which an unfinished folder is one that a crash left
_NAME = re.compile(rf'\d{{8}}T\d{{6}}\.\d{{3}}Z_({"|".join(KINDS)})(-\d+)?')

# Into a folder that is not there, for these triggers; the last pauses the thread for the others.
Write = Callable[[Path, list[Trigger], Callable[[], None]], None]


class SnapshotThread:
    """Triggers in, folders out; what is left out is counted and said.

    A folder is there when it is whole. A trigger while another one waits for its tail goes into
    the same snapshot.
    """

    def __init__(
        self,
        folder: Path,
        kept: int,
        write: Write,
        log: Callable[[str], None],
        warn: Callable[[str, str], None],
    ) -> None:
        """`kept` snapshots at most stay in the folder, beside those that were asked for.

        `log` is told a text and `warn` a subject and a text, in this thread.
        """
        self.folder, self._kept, self._write, self._log, self._warn = folder, kept, write, log, warn
        self.written = self.failed = self.suppressed = 0
        self._changed = threading.Condition()
        self._new: deque[Trigger] = deque()
        self._asked: deque[tuple[Trigger, Path]] = deque()
        self._pending: list[Trigger] = []
        self._due = self._spent = 0.0
        self._written_at: dict[str, float] = {}  # by subject
        self._told: set[str] = set()  # subjects of which it was said that one is left out
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Begin, with what the writing needs; nothing is written before something happens."""
        self._ending.clear()
        self._thread = threading.Thread(
            target=self._run, args=(prepare,), name='snapshots', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end; a write that takes too long is left behind, unfinished."""
        thread, self._thread = self._thread, None
        self._ending.set()
        with self._changed:
            self._changed.notify()
        if thread is not None:
            thread.join(END_WITHIN)
            if thread.is_alive():
                self._warn('snapshot', f'the last snapshot took over {END_WITHIN:g} s: not written')

    def trigger(self, trigger: Trigger) -> None:
        """Something happened; returns at once."""
        with self._changed:
            self._new.append(trigger)
            self._changed.notify()

    def ask(self, trigger: Trigger) -> Path:
        """Write one now; the folder that is there when it is whole. Returns at once."""
        path = self._free_path(trigger)  # asks the disk, for which nobody is to wait
        with self._changed:
            self._asked.append((trigger, path))
            self._changed.notify()
        return path

    def _run(self, prepare: Callable[[], None]) -> None:
        prepare()
        self._remove_unfinished()
        while True:
            with self._changed:
                while not (self._new or self._asked or self._is_due() or self._ending.is_set()):
                    self._changed.wait(self._due - time.monotonic() if self._pending else None)
                new, asked = list(self._new), list(self._asked)
                self._new.clear()
                self._asked.clear()
            for trigger, path in asked:
                self._snapshot(path, [trigger])
            for trigger in new:
                self._take(trigger)
            if self._pending and (self._is_due() or self._ending.is_set()):
                pending, self._pending = self._pending, []
                self._snapshot(self._free_path(pending[0]), pending)
            with self._changed:
                if self._ending.is_set() and not (self._new or self._asked):
                    return

    def _is_due(self) -> bool:
        return bool(self._pending) and time.monotonic() >= self._due

    def _take(self, trigger: Trigger) -> None:
        now = time.monotonic()
        if now - self._written_at.get(trigger.subject, -COOL_DOWN) < COOL_DOWN:
            self.suppressed += 1
            if trigger.subject not in self._told:
                self._told.add(trigger.subject)
                since = f'there was one less than {COOL_DOWN:g} s ago'
                self._warn('snapshot again', f'no snapshot of {trigger.subject}: {since}')
            return
        self._written_at[trigger.subject] = now
        self._told.discard(trigger.subject)
        if not self._pending:
            self._due = now + TAIL
        self._pending.append(trigger)

    def _snapshot(self, path: Path, triggers: list[Trigger]) -> None:
        """Write one where there is room for it; harms nothing where it cannot be written."""
        unfinished = path.with_name(f'.{path.name}.new')
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
            if free < LEAST_ROOM:
                left = f'{free / 2**20:.0f} MiB are left, {LEAST_ROOM / 2**20:.0f} MiB stay free'
                raise OSError(f'the disk of {self.folder} is full: {left}')
            self._write(unfinished, triggers, self._pause)
            unfinished.rename(path)
            self.written += 1
            self._log(f'snapshot of {triggers[0].subject}: {path}')
        except Exception as error:  # the robot drives on, whatever is wrong with a disk
            self.failed += 1
            self._warn('snapshot', f'snapshot {path.name} not written: {error}')
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            self._remove_oldest()

    def _pause(self) -> None:
        """Python runs one thread at a time: this one takes a tenth of it, in small pieces."""
        spent, self._spent = time.thread_time() - self._spent, time.thread_time()
        self._ending.wait(9 * spent)

    def _free_path(self, trigger: Trigger) -> Path:
        happened = time.time() - (time.monotonic_ns() - trigger.time) / 1e9
        moment = time.strftime('%Y%m%dT%H%M%S', time.gmtime(happened))
        name = f'{moment}.{int(happened * 1000) % 1000:03d}Z_{trigger.kind}'
        waiting = {path.name for _, path in list(self._asked)}
        names = itertools.chain([name], (f'{name}-{number}' for number in itertools.count(2)))
        free = (n for n in names if n not in waiting and not (self.folder / n).exists())
        return self.folder / next(free)

    def _remove_oldest(self) -> None:
        """Where there are too many, the oldest goes of that kind of which there are most."""
        by_kind: dict[str, list[Path]] = {}
        for path in sorted(self.folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match and match[1] != 'asked':
                by_kind.setdefault(match[1], []).append(path)
        for _ in range(sum(map(len, by_kind.values())) - self._kept):
            oldest = max(by_kind.values(), key=len).pop(0)
            self._log(f'more than {self._kept} snapshots: {oldest.name} is removed')
            try:
                shutil.rmtree(oldest)
            except OSError as error:
                self._warn('snapshot', f'snapshot {oldest} cannot be removed: {error}')

    def _remove_unfinished(self) -> None:
        """What a crash left, of this or another node."""
        for path in self.folder.glob('.*Z_*.new') if self.folder.is_dir() else ():
            if time.time() - path.stat().st_mtime > STALE:
                shutil.rmtree(path, ignore_errors=True)
