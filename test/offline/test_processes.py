# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training on two real processes: the numbers of one, one checkpoint, and an end for all."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import offline_process
import pytest
import torch
from source_tree import TREE
from standalone_cli import is_running, wait_until
from torch import Tensor

from loop_ros.cli import run_log, train_offline
from loop_ros.cli.main import main

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
TINY = (
    'ensemble.num_models=2', 'ensemble.width=8', 'ensemble.num_layers=1', 'ensemble.max_epochs=1',
    'ensemble.batch_size=16', 'off_policy.width=8', 'off_policy.batch_size=8',
)  # fmt: skip


@contextlib.contextmanager
def two(*words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The launcher of two processes, ended in any case."""
    process = subprocess.Popen(
        [*TORCHRUN, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


class Ended(NamedTuple):
    """What both processes of one training left, and how it ended."""

    learned: list[dict[str, dict[str, Tensor]]]
    refusals: list[list[str]]
    pids: list[int]
    exit_code: int
    output: str


@pytest.fixture(scope='module')
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp('processes')
    with two(TREE / 'test/support/offline_process.py', folder) as process:
        output, _ = process.communicate(timeout=100)
    assert len(list(folder.glob('*.pt'))) == 2, output
    found = [torch.load(folder / f'{rank}.pt', weights_only=False) for rank in range(2)]
    return Ended(*map(list, zip(*found, strict=True)), process.returncode, output)


@pytest.mark.parametrize('algorithm', offline_process.ALGORITHMS)
def test_two_processes_learn_what_one_does(ended: Ended, algorithm: str) -> None:
    """The same batches, orders and noise: nothing but rounding is different."""
    first, second = (learned[algorithm] for learned in ended.learned)
    alone = offline_process.learned(algorithm)
    assert first.keys() == second.keys() == alone.keys()
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_what_is_not_the_same_everywhere_is_refused(ended: Ended) -> None:
    assert ended.refusals[0] == []
    weights, data = ended.refusals[1]
    assert 'process 1 has learned other weights' in weights
    assert 'process 1 has other data' in data


def test_one_dead_process_ends_the_other(ended: Ended) -> None:
    assert ended.exit_code != 0
    assert f'SIGKILL) received by PID {ended.pids[1]}' in ended.output
    assert not any(map(is_running, ended.pids))


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A training of the command line on a bag of its own."""
    bag = str(tmp_path / 'bag')
    made = ['dataset', 'drift_car', '--kind', 'random', '--steps', '250', '--out', bag]
    assert main(made) == 0
    settings = [word for setting in TINY for word in ('--set', setting)]
    return ['train-offline', '--task', 'drift_car', '--bags', bag, *settings]


def notes(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / 'agent.json').read_text())['offline']
    return found


def test_ctrl_c_keeps_what_two_learned_and_one_goes_on(words: list[str], tmp_path: Path) -> None:
    out = tmp_path / 'out'
    words += ['--out', str(out)]
    with two('-m', 'loop_ros.cli.main', *words, '--updates', '1000000') as process:
        # Written once when the model is trained, and after the updates.
        wait_until(lambda: (out / 'agent.json').is_file() or process.poll() is not None, 80.0)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert output.count('interrupted: what was learned so far is kept') == 1
    assert output.count('250 transitions') == 1
    assert {path.name.partition('-')[0] for path in out.iterdir()} <= {
        'agent', 'training', 'agent.json', 'offline.json', 'progress.csv', 'tensorboard',
    }  # fmt: skip
    assert len(list(out.glob('*.safetensors'))) == 2
    assert json.loads((out / 'offline.json').read_text())['processes'] == 2
    updates = notes(out)['updates']
    assert updates > 0 and updates % train_offline.CHECK_EVERY == 0
    more = [*words, '--updates', str(updates + 5), '--resume', '--no-evaluation']
    assert main(more) == 0
    assert notes(out)['updates'] == updates + 5
    rows = run_log.rows_until(out / 'progress.csv', 10**6)
    assert rows[-1]['step'] == updates + 5


def test_batches_must_divide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('loop_ros.distributed.size', lambda: 3)
    with pytest.raises(ValueError, match=r'off_policy\.batch_size is 8: 3 processes'):
        offline_process.offline.training('crr')


def test_each_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (('TORCHELASTIC_RUN_ID', 'x'), ('WORLD_SIZE', '2'), ('LOCAL_RANK', '5')):
        monkeypatch.setenv(name, value)
    join = offline_process.distributed.init
    with pytest.raises(ValueError, match='write cuda'):
        join('cuda:1')
    with pytest.raises(ValueError, match='--nproc-per-node'):
        join('cuda')


def test_alone_nothing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters set WORLD_SIZE for other reasons; torchrun with one process is no group either."""
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert offline_process.distributed.init('cuda:1') == 'cuda:1'
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'x')
    monkeypatch.setenv('WORLD_SIZE', '1')
    assert offline_process.distributed.init('cuda:1') == 'cuda:1'
    assert offline_process.distributed.size() == 1
