# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One online learner on two processes: what both learn is what one learns alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import crew_process
import pytest
import torch
from source_tree import TREE
from torch import Tensor

from loop_ros import distributed
from loop_ros.settings import Settings

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']


class Ended(NamedTuple):
    """What two processes left."""

    folder: Path  # also with what they began from
    learned: list[dict[str, dict[str, Tensor]]]  # by process and case


@pytest.fixture(scope='module')
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp('crew')
    crew_process.learn_earlier(folder)
    support = TREE / 'test/support'
    command = [*TORCHRUN, str(support / 'crew_process.py'), str(folder)]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': f'{TREE}:{support}'}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return Ended(folder, [torch.load(folder / f'{rank}.pt') for rank in range(2)])


@pytest.mark.parametrize('case', crew_process.CASES)
def test_two_processes_learn_what_one_does(ended: Ended, case: str) -> None:
    """The second was told everything: buffer, updates, trainings of the ensemble, random state."""
    first, second = (found[case] for found in ended.learned)
    alone = crew_process.learned(ended.folder, case)
    assert len(first['buffer.rows']) == crew_process.EARLIER + crew_process.STEPS
    for name, value in second.items():
        assert torch.equal(first[name], value), name
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_learning_went_on(ended: Ended) -> None:
    """The comparison would mean nothing between networks that stood still."""
    before = crew_process.loaded(ended.folder, 'sac')
    after = ended.learned[0]['sac']
    for name in ('actor', 'critic', 'ensemble'):
        moved = [key for key in before if key.startswith(name) and 'weight' in key]
        assert moved and not any(torch.equal(before[key], after[key]) for key in moved), name


def test_batches_that_are_normalised_whole_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, 'size', lambda: 2)
    with pytest.raises(ValueError, match='normalises whole batches, which 2 processes do not'):
        distributed.check_divisible(Settings().replace({'off_policy.batch_norm': True}))
