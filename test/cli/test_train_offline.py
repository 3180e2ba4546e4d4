# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros train-offline as typed."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from bag_files import drive

from loop_ros.agent import Agent
from loop_ros.bags.writer import BagWriter
from loop_ros.cli.main import main
from loop_ros.offline import evaluation

SETTINGS = (
    'plas.vae_width=8', 'plas.vae_updates=7', 'off_policy.width=8', 'ensemble.width=8',
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
    result = json.loads((out / 'offline.json').read_text())
    assert result['updates'] == 12
    planner = result['settings']['planner']
    assert (planner['algorithm'], planner['d0']) == ('safe_arc', tiny.TASK.default_d0)
    last = list(csv.DictReader((out / 'progress.csv').open()))[-1]
    assert (last['step'], float(last['critic_loss']) > 0) == ('12', True)


def test_held_out_episodes_that_are_unlike_the_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    held_out = int(torch.randperm(6, generator=torch.Generator().manual_seed(0))[0])
    with BagWriter(tmp_path / 'bag', tiny.TASK) as bag:
        for transition in drive(6, 40):
            moved = rng.normal(scale=0.1 if transition.episode == held_out else 0.01, size=6)
            after = transition.observation + moved
            bag.write(dataclasses.replace(transition, next_observation=after))
    words = ['train-offline', '--task', 'drift_car', '--bags', str(tmp_path / 'bag')]
    words += ['--updates', '1', '--no-evaluation', '--out', str(tmp_path / 'out')]
    words += ['--set', 'planner.algorithm=arc']
    assert main([*words, '--set', 'ensemble.width=8']) == 0
    result = json.loads((tmp_path / 'out/offline.json').read_text())
    assert result['settings']['planner']['algorithm'] == 'arc'  # as told
    said = ' '.join(capsys.readouterr().err.split())
    assert 'no better on held-out episodes than the mean change' in said


def test_episodes_that_diverge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of states of 1e6, by which a model's episodes come to nothing that was ever recorded."""
    few = {'proposal_std': (0.01, 0.4), 'temperature': (1.0,)}, {'horizon': (2,)}
    monkeypatch.setattr(evaluation, 'SEARCH', (*few, {'pessimism': (0.0,)}))  # is faster
    rng = np.random.default_rng(0)
    with BagWriter(tmp_path / 'bag', tiny.TASK) as bag:
        for transition in tiny.transitions(300):
            before, after = 1e6 * rng.normal(size=(2, 6))
            bag.write(dataclasses.replace(transition, observation=before, next_observation=after))
    out = tmp_path / 'out'
    words = ['train-offline', '--task', 'drift_car', '--bags', str(tmp_path / 'bag')]
    words += ['--updates', '5', '--apply-recommendation', '--out', str(out)]
    assert main([*words, *(word for each in SETTINGS for word in ('--set', each))]) == 2
    said = capsys.readouterr()
    assert 'diverged: the actor' in said.out
    assert 'diverged: plans with any settings' in said.out
    assert 'nothing is recommended' in said.out
    assert 'none is applied' in ' '.join(said.err.split())
    assert 'nan' not in said.out.lower()
    for name in ('off_policy.json', 'offline.json'):
        json.loads((out / name).read_text(), parse_constant=pytest.fail)
    found = json.loads((out / 'off_policy.json').read_text())
    assert found['recommended'] == {}
    settings = json.loads((out / 'offline.json').read_text())['settings']
    planner = Agent.load(out, tiny.TASK).settings.to_dict()['planner']
    assert planner == settings['planner']
    assert main(['report', str(out), '--out', str(tmp_path / 'report.html')]) == 0
    page = (tmp_path / 'report.html').read_text()
    assert '<td>diverged</td>' in page
