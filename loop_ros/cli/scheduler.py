# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many runs, so many at a time, with those that run and the time left on the screen."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.progress import Progress

from loop_ros.cli.processes import Job, Running
from loop_ros.progress import bars

Start = Callable[[Job], Running]


def run(jobs: list[Job], start: Start, at_a_time: int) -> int:
    """Run all of them, in their order; the first exit code that is not 0, else 0.

    One that fails does not stop the others. Ctrl-C starts no more and is passed to those that run,
    which evaluate what they have learned so far; the second one ends all.
    """
    with bars() as progress, _first_interrupt() as interrupt:
        schedule = _Schedule(jobs, progress)
        while schedule.waiting or schedule.running:
            if interrupt and not schedule.interrupted:
                schedule.interrupt()
            while schedule.waiting and not interrupt and len(schedule.running) < at_a_time:
                schedule.start(start)
            schedule.update()
            time.sleep(0.5 if schedule.running else 0.0)
        schedule.show()
    return schedule.code


@contextlib.contextmanager
def _first_interrupt() -> Iterator[list[int]]:
    """The first Ctrl-C fills a list instead of being raised.

    Raised while a run is being started, it would leave that run behind, unknown to anybody.
    """
    signals: list[int] = []

    def keep(number: int, _: Any) -> None:
        if signals:
            raise KeyboardInterrupt
        signals.append(number)

    before = signal.signal(signal.SIGINT, keep)
    try:
        yield signals
    finally:
        signal.signal(signal.SIGINT, before)


class _Schedule:
    """What waits and what runs; a bar for each run that runs, and one for all."""

    def __init__(self, jobs: list[Job], progress: Progress) -> None:
        self.waiting, self.running = list(jobs), list[tuple[Job, Running]]()
        self.code, self.interrupted = 0, False
        self._done, self._failed = 0, 0
        self._steps = {job.name: job.steps_done() for job in jobs}
        self._progress = progress
        self._bars = {
            job.name: progress.add_task(
                job.name, False, job.steps, self._steps[job.name], visible=False, metrics=''
            )
            for job in jobs
        }
        total = sum(job.steps for job in jobs)
        done = sum(self._steps.values())
        self._all = progress.add_task('all', total=total, completed=done, metrics='')

    def start(self, start: Start) -> None:
        """Start the first that waits."""
        job = self.waiting.pop(0)
        job.log.unlink(missing_ok=True)
        self.running.append((job, start(job)))

    def update(self) -> None:
        """See how far they are, and which have ended."""
        for job, process in list(self.running):
            code = process.poll()
            self._steps[job.name] = done = job.steps_done()
            if job.log.exists():  # a cluster has begun with it
                self._progress.start_task(self._bars[job.name])
                text = f'{done / job.steps:.0%}'
                self._progress.update(
                    self._bars[job.name], completed=done, visible=True, metrics=text
                )
            if code is not None:
                self.running.remove((job, process))
                self._end(job, code)
        self.show()

    def show(self) -> None:
        """Bring the line about all of them up to date."""
        begun = sum(job.log.exists() for job, _ in self.running)
        queued = len(self.waiting) + len(self.running) - begun
        counts = {'running': begun, 'queued': queued, 'done': self._done, 'failed': self._failed}
        text = ', '.join(f'{count} {name}' for name, count in counts.items() if count)
        self._progress.update(self._all, completed=sum(self._steps.values()), metrics=text)

    def interrupt(self) -> None:
        """Start no more; those that run evaluate what they have learned."""
        self.interrupted = True
        self._say('interrupted: evaluating what was learned so far (Ctrl-C again ends at once)')
        self.waiting.clear()
        for _, process in self.running:
            process.send_signal(signal.SIGINT)

    def _end(self, job: Job, code: int) -> None:
        self._progress.remove_task(self._bars[job.name])
        if code == 0:
            self._done += 1
            self._say(f'{job.name}: {self._steps[job.name]} steps done')
            return
        self.code = self.code or code
        self._failed += 1
        # What it will not do is no part of the time left.
        total = sum(self._steps.values()) + sum(
            each.steps - self._steps[each.name]
            for each in [*self.waiting, *(running for running, _ in self.running)]
        )
        self._progress.update(self._all, total=total)
        self._say(f'{job.name} failed: {job.last_words()} ({job.log})')

    def _say(self, text: str) -> None:
        self._progress.console.print(text, soft_wrap=True, markup=False, highlight=False)
