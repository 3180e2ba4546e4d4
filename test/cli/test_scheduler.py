# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""So many processes at a time, whatever becomes of them."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loop_ros.cli import scheduler
from loop_ros.cli.processes import Job


def job(folder: Path, name: str) -> Job:
    (folder / name).mkdir()
    return Job(name, folder / name, [], 10)


def shell(script: str) -> Callable[[Job], subprocess.Popen[bytes]]:
    """A function that starts a script in the folder of a job, with the job's name as $0."""

    def start(job: Job) -> subprocess.Popen[bytes]:
        with job.log.open('ab') as log:
            command = ['sh', '-c', script, job.name]
            return subprocess.Popen(
                command, cwd=job.folder, stdout=log, stderr=log, start_new_session=True
            )

    return start


def test_never_more_than_asked_for_run(tmp_path: Path) -> None:
    script = 'ls -d ../*/now | wc -l > count; touch now; sleep 0.3; rm now'
    jobs = [job(tmp_path, name) for name in 'abcde']
    assert scheduler.run(jobs, shell(script), 2) == 0
    counts = [int((each.folder / 'count').read_text()) for each in jobs]
    assert max(counts) <= 1, 'others ran already when one began'


def test_one_that_fails_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job(tmp_path, name) for name in 'abc']
    script = 'echo first; echo the reason >&2; touch ended; [ $0 != a ] || exit 3'
    assert scheduler.run(jobs, shell(script), 1) == 3
    assert all((each.folder / 'ended').exists() for each in jobs)
    error = capsys.readouterr().err
    assert f'a failed: the reason ({tmp_path}/a/log.txt)' in error
    assert 'b failed' not in error
    assert '2 done, 1 failed' in error


def test_ctrl_c_is_passed_on_and_starts_no_more(tmp_path: Path) -> None:
    jobs = [job(tmp_path, name) for name in 'ab']
    script = 'trap "touch saved; exit 0" INT; touch begun; while :; do sleep 0.1; done'

    start = shell(script)

    def interrupted(job: Job) -> subprocess.Popen[bytes]:
        process = start(job)
        while not (job.folder / 'begun').exists():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)  # before anybody knows of the process
        return process

    assert scheduler.run(jobs, interrupted, 1) == 0
    assert (tmp_path / 'a' / 'saved').exists()
    assert not (tmp_path / 'b' / 'begun').exists()
