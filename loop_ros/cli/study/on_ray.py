# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs as tasks of Ray, on machines that share the folder and have the same installation."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loop_ros.cli import processes
from loop_ros.cli.processes import Job

RETRIES = 3  # of a job whose worker or machine was lost
LOCAL = 'local'


@contextlib.contextmanager
def cluster(address: str, cpus: int, gpus: float) -> Iterator[Callable[[Job], _Task]]:
    """A function that starts a job on the cluster at an address; `cpus` are those of a local one.

    ValueError: Ray is not installed, nothing answers at the address, or it has not so many GPUs.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    try:
        import ray
    except ModuleNotFoundError:
        raise ValueError("--ray needs Ray: pip install 'loop_ros[ray]'") from None
    local: dict[str, Any] = {}
    if address == LOCAL:
        local = {'num_cpus': cpus, 'include_dashboard': False}
    _expect_answer(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **local)
    except (ConnectionError, RuntimeError) as error:
        raise ValueError(f'--ray {address}: {error}') from None
    there = ray.cluster_resources().get('GPU', 0.0)
    if there < gpus:
        ray.shutdown()
        raise ValueError(f'--ray {address}: a run needs {gpus:g} GPUs, and all have {there:g}')
    task = ray.remote(max_retries=RETRIES)(_run)

    def start(job: Job) -> _Task:
        options = task.options(num_cpus=1, num_gpus=job.gpus)
        return _Task(job, options.remote(job, os.getcwd()))

    try:
        yield start
    finally:
        ray.shutdown()


def _expect_answer(address: str) -> None:
    """ValueError where nothing listens at HOST:PORT, which Ray finds out in minutes."""
    host, colon, port = address.rpartition(':')
    if not colon or not port.isdecimal() or '://' in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ValueError(f'--ray {address}: {error}; is it the address of a head node?') from None


class _Task:
    """A job that was handed to Ray."""

    def __init__(self, job: Job, reference: Any) -> None:
        self._job, self._reference = job, reference

    def poll(self) -> int | None:
        """The exit code of the job, or 1 where Ray gave it up; None until then."""
        import ray

        ready, _ = ray.wait([self._reference], timeout=0)
        if not ready:
            return None
        try:
            return int(ray.get(self._reference))
        except ray.exceptions.TaskCancelledError:  # before it began
            return -signal.SIGINT
        except ray.exceptions.RayError as error:
            self._job.folder.mkdir(parents=True, exist_ok=True)
            with self._job.log.open('a', encoding='utf-8') as log:
                print(f'Ray gave it up: {" ".join(str(error).split())}', file=log)
            return 1

    def send_signal(self, sig: int, /) -> None:
        """Interrupt it, which is all that Ray can."""
        import ray

        ray.cancel(self._reference)


def _run(job: Job, working_folder: str) -> int:
    """In a worker: the job as a process of its own; its exit code."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with job.log.open('a', encoding='utf-8') as log:
        print(f'on {socket.gethostname()}, worker {os.getpid()}', file=log)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # Ray's is inherited
    process = processes.start(job, Path(working_folder))
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        return _wait(process)
    except KeyboardInterrupt:  # ray.cancel
        process.send_signal(signal.SIGINT)
        return _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Its exit code; `Popen.wait` would not see that Ray interrupts this thread."""
    while (code := process.poll()) is None:
        time.sleep(0.2)
    return code
