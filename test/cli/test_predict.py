# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros predict as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny

from loop_ros.bags.writer import BagWriter
from loop_ros.cli.main import main

PREDICTORS = ('ensemble', 'unchanged')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and a bag."""
    folder = tmp_path_factory.mktemp('predict')
    tiny.trained(60).save(folder / 'policy')
    with BagWriter(folder / 'bag', tiny.TASK) as bag:
        for transition in tiny.transitions(200, seed=7):
            bag.write(transition)
    return folder


def predict(folder: Path, *words: str) -> int:
    checkpoint = str(folder / 'policy')
    return main(['predict', str(folder / 'bag'), '--checkpoint', checkpoint, *words])


def test_a_table_and_the_same_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / 'errors.json'
    assert predict(folder, '--seconds', '0.35', '--json', '--out', str(out)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(out.read_text())
    assert (found['steps'], found['transitions'], found['starts']) == (10, 200, 2 * 91)
    assert predict(folder, '--seconds', '0.35') == 0
    lines = capsys.readouterr().out.splitlines()
    table = [line.split('|')[1:-1] for line in lines if line.startswith('|')]
    head, rule, speed = (list(map(str.strip, cells)) for cells in table[:3])
    times = [f'{name}, {time}' for time in ('0.035 s', '0.35 s') for name in PREDICTORS]
    assert head[1:] == times
    assert set(''.join(rule)) == {'-'}
    errors = found['errors'][0]
    columns = [f'{name}, {steps}' for steps in (1, 10) for name in PREDICTORS]
    assert speed == ['v_x', *(f'{errors[column]:.3g}' for column in columns)]


def test_no_episode_is_that_long(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(folder, '--seconds', '10') == 2
    assert 'no episode has 286 steps, the longest 100' in capsys.readouterr().err
