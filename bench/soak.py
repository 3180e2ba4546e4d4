# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does anything grow while the drift car drives for hours? Launches it and looks every 10 s.

Memory is what a process has to itself (RssAnon of /proc/PID/status: heap, stacks, tensors); pages
of files and of DDS's shared memory are counted apart, for other processes may hold them too.
Linux only. Needs `ros2` on the PATH.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from loop_ros.bench.processes import START_TIMEOUT, Diagnostics, launched, talker
from loop_ros.bench.report import Row
from loop_ros.bench.soak_metrics import COUNTS, metrics, plot

TITLE = 'The drift car for hours: memory, threads, descriptors'
PERIOD = 10.0  # s between samples
PROCESSES = ('planner', 'learner', 'bridge')
STATUS = {'RssAnon': 'private_kib', 'RssFile': 'file_kib', 'RssShmem': 'shared_memory_kib'}
COLUMNS = (
    'time_s', 'process', 'pid', *STATUS.values(), 'threads', 'descriptors', *COUNTS, 'mean_return'
)  # fmt: skip
RETURN = re.compile(r'\bepisode=\d+ return=(\S+)')


def run(options: argparse.Namespace) -> list[Row]:
    """A row for each process; options: seconds, launch_arguments, out, read.

    Writes soak.csv as it proceeds, launch.log and soak.png into `out`; Ctrl-C or SIGTERM ends it
    early.
    With `read`, only the rows and the picture of a soak.csv that is there.
    """
    path = options.out / 'soak.csv'
    if not options.read:
        options.out.mkdir(parents=True, exist_ok=True)
        for each in (signal.SIGINT, signal.SIGTERM):  # also where a shell started it with `&`
            signal.signal(each, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            record(path, options.seconds, options.launch_arguments)
    with path.open(encoding='utf-8', newline='') as file:
        samples = list(csv.DictReader(file))
    rows = metrics(samples)
    plot(samples, options.out / 'soak.png')
    return rows


def record(path: Path, seconds: float, launch_arguments: list[str]) -> None:
    """Write samples until the launch ends by itself; ChildProcessError where it fails."""
    log = path.with_name('launch.log')
    arguments = [f'duration:={seconds:g}', *launch_arguments]
    with (
        talker('soak_bench') as ros,
        path.open('w', encoding='utf-8', newline='') as file,
        Console(stderr=True).status(f'{seconds:g} s of driving, into {path}'),
        log.open('wb') as output,
        launched(arguments, output) as process,
    ):
        diagnostics = Diagnostics(ros)
        returns = Returns(log)
        writer = csv.DictWriter(file, COLUMNS, restval='')
        writer.writeheader()
        start = time.monotonic()
        while process.poll() is None and time.monotonic() - start < seconds + START_TIMEOUT:
            ros.spin_for(PERIOD)
            moment = {'time_s': round(time.monotonic() - start, 1)}
            pids = node_pids(process.pid)
            if 'bridge' not in pids:
                continue  # the launch begins or ends
            for name, pid in sorted(pids.items()):
                heard = diagnostics.values.get(name, {})
                counts = {key: heard[key] for key in COUNTS if key in heard}
                if name == 'bridge':
                    counts['mean_return'] = returns.mean()
                with contextlib.suppress(OSError):  # it has just ended
                    writer.writerow({**moment, 'process': name, **sample(pid), **counts})
            file.flush()


class Returns:
    """The bridge's episode lines in the log of the launch, each read once."""

    def __init__(self, log: Path) -> None:
        self._log, self._offset = log, 0

    def mean(self) -> str:
        """Mean return of the episodes that ended since the last call; empty where none did."""
        with self._log.open('rb') as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b'\n') + 1]
        self._offset += len(whole)
        found = [float(text) for text in RETURN.findall(whole.decode(errors='replace'))]
        return f'{sum(found) / len(found):.2f}' if found else ''


def node_pids(root: int) -> dict[str, int]:
    """Process ids of the nodes among the descendants of a process, by the node's name."""
    found = {}
    for pid in descendants(root):
        with contextlib.suppress(OSError):
            command = Path(f'/proc/{pid}/cmdline').read_text(errors='replace').split('\0')[:3]
            for name in PROCESSES:
                if any(part.endswith(f'{name}_node') for part in command):
                    found[name] = pid
    return found


def descendants(pid: int) -> Iterator[int]:
    """Children and their children."""
    for path in Path(f'/proc/{pid}/task').glob('*/children'):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                yield int(child)
                yield from descendants(int(child))


def sample(pid: int) -> Row:
    """Memory [KiB], threads and open descriptors of a process now; OSError where it is gone."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    status = dict(line.partition(':')[::2] for line in lines)
    memory = {name: int(status[key].split()[0]) for key, name in STATUS.items() if key in status}
    if not memory:
        raise ProcessLookupError(f'process {pid} has ended')  # a zombie has no memory
    descriptors = len(list(Path(f'/proc/{pid}/fd').iterdir()))
    return {'pid': pid, **memory, 'threads': int(status['Threads']), 'descriptors': descriptors}
