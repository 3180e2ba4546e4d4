# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The soak sees what grows, and gives its table also where it is stopped."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stack import Process, environment, make_prefix, until

from loop_ros.bench.soak import COLUMNS, Returns, descendants, node_pids, sample
from loop_ros.bench.soak_metrics import Sample, metrics, slope

pytestmark = pytest.mark.slow
# Each line that it reads makes it take 20 MiB, a thread and three descriptors more.
GROWING = """
import sys, threading
kept, wait = [], threading.Event().wait
print('ready', flush=True)
for line in sys.stdin:
    kept.append(b'x' * (20 << 20))
    kept += [open(sys.executable, 'rb') for _ in range(3)]
    threading.Thread(target=wait, daemon=True).start()
    print('grown', flush=True)
"""


@pytest.fixture
def prefix(tmp_path: Path, ros_domain: int) -> Path:
    return make_prefix(tmp_path / 'prefix')


@pytest.fixture
def growing() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, '-c', GROWING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_a_sample_sees_memory_threads_and_descriptors(growing: subprocess.Popen[str]) -> None:
    assert growing.stdin is not None and growing.stdout is not None
    before = sample(growing.pid)
    growing.stdin.write('more\n')
    growing.stdin.flush()
    growing.stdout.readline()
    after = sample(growing.pid)
    assert 20 << 10 <= after['private_kib'] - before['private_kib'] < 24 << 10
    assert after['threads'] - before['threads'] == 1
    assert after['descriptors'] - before['descriptors'] == 3


def test_a_process_that_has_ended_gives_no_sample(growing: subprocess.Popen[str]) -> None:
    growing.kill()
    until(lambda: 'Z' in Path(f'/proc/{growing.pid}/stat').read_text().split()[2], 10, 'its end')
    with pytest.raises(OSError):
        sample(growing.pid)
    growing.wait()
    with pytest.raises(OSError):
        sample(growing.pid)
    assert not list(descendants(growing.pid)) and not node_pids(growing.pid)


def samples(memory: np.ndarray, pid: str = '1', **columns: np.ndarray) -> list[Sample]:
    """A learner's samples every 10 s, its memory in MiB."""
    rows = [dict.fromkeys(COLUMNS, '') for _ in memory]
    fixed = {'process': 'learner', 'pid': pid, 'threads': '5', 'descriptors': '9'}
    for index, row in enumerate(rows):
        row |= {**fixed, 'time_s': str(10 * index), 'private_kib': str(1024 * memory[index])}
        row |= {name: str(values[index]) for name, values in columns.items()}
    return rows


def test_a_leak_shows_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    hours = np.arange(720) / 360
    # Noise that resembles itself, as memory's does, after a warm-up that would look like a leak.
    noise = np.convolve(rng.normal(0, 0.5, 749), np.ones(30) / 30, mode='valid')
    flat = 200 + noise - 80 * np.exp(-hours * 60)
    kept = {'learned': 50_000 * hours, 'backlog': np.full(720, 500)}
    by_design = 68 * kept['learned'] / 2**20  # bytes of a transition: 17 numbers of 4
    (still,) = metrics(samples(flat))
    (leaks,) = metrics(samples(flat + 3 * hours, **kept))
    (learns,) = metrics(samples(flat + by_design, **kept))
    for part, error in (('MiB_per_h', 'error'), ('half_MiB_per_h', 'half_error')):
        assert abs(still[part]) < 3 * still[error] < 1
        assert abs(leaks[part] - 3) < 3 * leaks[error] < 1
    assert learns['half_MiB_per_h'] == pytest.approx(3.2, abs=3 * learns['half_error'])
    assert abs(learns['half_without_transitions']) < 3 * learns['half_error']


def test_the_error_holds_for_samples_that_resemble_each_other() -> None:
    """Of many flat series, few have a slope above two of its errors."""
    rng = np.random.default_rng(0)
    hours = np.arange(600) / 360
    far = 0
    for _ in range(200):
        values = np.zeros(600)
        for i, step in enumerate(rng.normal(size=599), 1):
            values[i] = 0.8 * values[i - 1] + step
        found, error = slope(hours, values)
        far += abs(found) > 2 * error
    assert far < 20, 'about 5% of them'


def test_a_process_that_came_again_has_a_row_of_its_own() -> None:
    first, second = metrics(samples(np.full(50, 90.0)) + samples(np.full(50, 100.0), pid='2'))
    assert (first['last_MiB'], second['last_MiB']) == (90, 100)
    assert first['MiB_per_h'] == pytest.approx(0, abs=1e-9)
    assert first['threads'] == '5 / 5 / 5'


def test_returns_are_read_once(tmp_path: Path) -> None:
    log = tmp_path / 'launch.log'
    log.write_text('[bridge_node-1] episode=0 return=-8.0 cost_steps=0\n[bridge_node-1] episode=1 ')
    returns = Returns(log)
    assert returns.mean() == '-8.00'
    with log.open('a') as file:
        file.write('return=-9.0 cost_steps=1\nsummary: episodes=2 mean_return=-8.50\n')
    assert returns.mean() == '-9.00'
    assert returns.mean() == ''


def read(path: Path) -> list[Sample]:
    """Samples so far."""
    if not path.is_file():
        return []
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def command(*arguments: str) -> list[str]:
    return [sys.executable, '-m', 'loop_ros.cli.main', 'bench', *arguments]


def test_a_soak_that_is_stopped_gives_its_table(prefix: Path, tmp_path: Path) -> None:
    """And leaves no node behind; its folder can be read again."""
    out = tmp_path / 'soak'
    arguments = ['soak', '--json', '--seconds', '600', '--out', str(out)]
    process = Process(command(*arguments, 'speed:=0'), tmp_path / 'log', env=environment(prefix))
    try:
        csv_file = out / 'soak.csv'
        until(lambda: any(int(row['plans'] or 0) for row in read(csv_file)), 120, 'plans')
        until(lambda: any(row['missing'] for row in read(csv_file)), 120, "the learner's counts")
        nodes = node_pids(process.popen.pid)
        assert set(nodes) == {'planner', 'learner', 'bridge'}
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
    until(lambda: not any(Path(f'/proc/{pid}').exists() for pid in nodes.values()), 10, 'their end')
    rows = {row['process']: row for row in json.loads(process.output.splitlines()[-1])}
    assert set(rows) == set(nodes)
    assert all(row['last_MiB'] > 50 for row in rows.values())
    assert (out / 'soak.png').read_bytes().startswith(b'\x89PNG')
    last = {row['process']: row for row in read(csv_file)}
    assert last['learner']['missing'] == '0' and last['bridge']['steps without command'] == '0'
    again = subprocess.run(
        command('soak', '--read', '--json', '--out', str(out)),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {row['process']: row for row in json.loads(again.stdout)} == rows


def test_the_realtime_bench_hears_the_launched_planner(prefix: Path, tmp_path: Path) -> None:
    arguments = ['realtime', '--json', '--seconds', '8', 'train:=false']
    process = Process(command(*arguments), tmp_path / 'log', env=environment(prefix))
    try:
        assert process.wait(120) == 0
    finally:
        process.kill()
    (row,) = json.loads(process.output.splitlines()[-1])
    assert row['commands'] > 0 and row['plans'] > 0 and row['missed_periods'] >= 0
