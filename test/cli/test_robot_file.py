# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags with topics of their own from the command line, by --robot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from bag_files import write_bag
from vehicle import commands, robot, states

from loop_ros.bags.reader import BagReader
from loop_ros.cli.main import main

SMALL = ('ensemble.width=8', 'ensemble.max_epochs=1', 'off_policy.width=8')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """robot.yaml, a bag that it reads and a checkpoint."""
    folder = tmp_path_factory.mktemp('vehicle')
    robot(folder)
    speeds = np.random.default_rng(0).uniform(0, 5, size=70)
    sent = commands(*((0.1 * i, speed) for i, speed in enumerate(speeds)))
    messages = [*states(100, 3.0), *states(100, 7.0, gap=(0.0, 4.0)), *sent]
    write_bag(folder / 'bag', sorted(messages, key=lambda message: message[2]))
    tiny.trained(60).save(folder / 'policy')
    return folder


def run(folder: Path, command: str, *words: str) -> int:
    return main([*command.split(), '--robot', str(folder / 'robot.yaml'), *words])


def test_a_training(folder: Path) -> None:
    out = folder / 'out'
    words = ['--bags', str(folder / 'bag'), '--updates', '1', '--no-evaluation', '--out', str(out)]
    settings = (word for each in SMALL for word in ('--set', each))
    assert run(folder, 'train-offline', *words, *settings) == 0
    found = json.loads((out / 'offline.json').read_text())
    read = list(BagReader([folder / 'bag'], tiny.TASK, robot=robot(folder)))
    assert (found['task'], found['data']['transitions']) == ('drift_car', len(read))
    assert f'--robot {folder / "robot.yaml"}' in found['command']


def test_an_import(folder: Path) -> None:
    """What was read by the file is then read without it."""
    words = ['--kind', 'import', '--from', str(folder / 'bag'), '--out', str(folder / 'imported')]
    assert run(folder, 'dataset', *words) == 0
    found = list(BagReader([folder / 'imported'], tiny.TASK))
    wanted = list(BagReader([folder / 'bag'], tiny.TASK, robot=robot(folder)))
    assert [t.step for t in found] == [t.step for t in wanted]
    assert len(found) > 150
    for one, other in zip(found, wanted, strict=True):
        assert one.observation == pytest.approx(other.observation)
        assert one.action == pytest.approx(other.action)


def test_only_bags_are_imported_by_a_robot_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, 'dataset', '--kind', 'random', '--out', str(folder / 'none')) == 2
    assert '--robot is for the bags of --kind import' in capsys.readouterr().err


def test_a_prediction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(folder / 'bag'), '--checkpoint', str(folder / 'policy'), '--json']
    assert run(folder, 'predict', *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found['task'], found['steps']) == ('drift_car', 29)
    assert found['transitions'] > 150


def test_neither_task_nor_robot(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ['train-offline', '--bags', str(folder / 'bag'), '--out', str(folder / 'none')]
    assert main(words) == 2
    assert 'name the task, or the robot file with --robot' in capsys.readouterr().err
