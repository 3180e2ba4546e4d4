# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions a second out of a bag, beside rosbags' own reader and the bytes of its file.

All three read the same bag in turns, from the page cache, in processor time: other work on the
machine does not count. The peak of memory is that of a reading by itself.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from loop_ros.bags.reader import BagReader
from loop_ros.bags.writer import BagWriter
from loop_ros.bench.report import Row
from loop_ros.sim import registry
from loop_ros.sim.task import Task
from loop_ros.types import Rows

TITLE = 'Transitions a second out of an MCAP bag, in processor time'
TASKS = ('drift_car', 'HalfCheetah')
EPISODE = 100  # steps
BLOCK = 2**22  # bytes read at once
REQUIRED_RATIO = 1.0  # of our reading over rosbags' own


def run(options: argparse.Namespace) -> list[Row]:
    """A row for each task; options: num (transitions), repeats."""
    return [_row(registry.task(name), options.num, options.repeats) for name in TASKS]


def make_bag(path: Path, task: Task, num: int) -> int:
    """Write `num` random transitions and return the bytes of the bag's file."""
    rng = np.random.default_rng(0)
    size, actions = len(task.observation_labels), len(task.action_labels)
    with BagWriter(path, task, start_ns=0) as bag:
        for start in range(0, num, 10_000):
            index = np.arange(start, min(start + 10_000, num))
            episode, step = np.divmod(index, EPISODE)
            count = len(index)
            bag.write_rows(
                Rows(
                    index * task.control_period + episode,
                    episode,
                    step,
                    rng.normal(size=(count, size)),
                    rng.normal(size=(count, actions)),
                    rng.normal(size=count),
                    np.zeros(count),
                    rng.normal(size=(count, size)),
                    np.zeros(count, dtype=np.bool_),
                    step == EPISODE - 1,
                )
            )
    return sum(file.stat().st_size for file in path.glob('*.mcap'))


def _row(task: Task, num: int, repeats: int) -> Row:
    with TemporaryDirectory(prefix='loop_ros_bench_') as folder:
        path = Path(folder) / 'bag'
        size = make_bag(path, task, num)
        ways: dict[str, Callable[[], int]] = {
            'ours': lambda: sum(rows.size for rows in BagReader([path], task).batches()),
            'single': lambda: sum(1 for _ in BagReader([path], task)),
            'rosbags': lambda: _rosbags(path),
            'bytes': lambda: _bytes(path, num),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                start = time.process_time()
                found = way()
                times[name].append(time.process_time() - start)
                if found != num:
                    raise ValueError(f'{name} found {found} transitions of {num}')
        rates = {name: num / max(min(values), 1e-9) for name, values in times.items()}
        return {
            'task': task.name,
            'transitions': num,
            'file_MB': size / 1e6,
            'ours_per_s': rates['ours'],
            'one_by_one_per_s': rates['single'],
            'peer': 'rosbags, Reader and deserialize_cdr',
            'peer_per_s': rates['rosbags'],
            'ratio': rates['ours'] / rates['rosbags'],
            'required_ratio': REQUIRED_RATIO,
            'bytes_alone_per_s': rates['bytes'],
            'ratio_to_bytes': rates['ours'] / rates['bytes'],
            'peak_MB': _peak(ways['ours']),
        }


def _rosbags(path: Path) -> int:
    """The library's plain loop."""
    store = get_typestore(Stores.ROS2_JAZZY)
    count = 0
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            store.deserialize_cdr(data, connection.msgtype)
            count += 1
    return count


def _bytes(path: Path, num: int) -> int:
    """What the machine needs for the bytes of the file."""
    for file in path.glob('*.mcap'):
        with file.open('rb') as stream:
            while stream.read(BLOCK):
                pass
    return num


def _peak(way: Callable[[], int]) -> float:
    """MB that were allocated at once at most."""
    tracemalloc.start()
    try:
        way()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
