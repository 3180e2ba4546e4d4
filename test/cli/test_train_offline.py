# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros train-offline as typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import tiny

from loop_ros.bags.writer import BagWriter
from loop_ros.cli.main import main

SETTINGS = (
    'plas.vae_width=8', 'plas.vae_updates=7', 'sac.width=8', 'ensemble.width=8',
    'ensemble.max_epochs=1',
)  # fmt: skip


def test_updates_of_the_autoencoder_come_on_top(tmp_path: Path) -> None:
    """Else --updates of no more than those would leave the policy as it began."""
    with BagWriter(tmp_path / 'bag', tiny.TASK) as bag:
        for transition in tiny.transitions(250):
            bag.write(transition)
    out = tmp_path / 'out'
    words = ['train-offline', '--task', 'drift_car', '--bags', str(tmp_path / 'bag')]
    words += ['--algorithm', 'plas', '--updates', '5', '--no-evaluation', '--out', str(out)]
    assert main([*words, *(word for each in SETTINGS for word in ('--set', each))]) == 0
    assert json.loads((out / 'offline.json').read_text())['updates'] == 12
    last = list(csv.DictReader((out / 'progress.csv').open()))[-1]
    assert (last['step'], float(last['critic_loss']) > 0) == ('12', True)
