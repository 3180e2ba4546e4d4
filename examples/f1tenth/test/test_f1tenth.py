# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real car's log, from CSV files to a table of errors; and the bicycle beside it."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import compare
import numpy as np
import pytest
import to_bag
from f1tenth.bicycle import Bicycle
from f1tenth.task import CONTROL_PERIOD, TASK
from source_tree import TREE

from loop_ros.bags.reader import BagReader
from loop_ros.cli.main import main
from loop_ros.offline import prediction
from loop_ros.offline.prediction import Recorded
from loop_ros.robot import description
from loop_ros.types import Rows

DATA = TREE.parent / 'shared/data/f1tenth'
ROBOT = TREE / 'examples/f1tenth/robot.yaml'
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason='needs shared/data/f1tenth')


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp('f1tenth') / 'DS1'
    assert to_bag.convert(DATA / 'DS1', path) == 1320 + 3 * 1427 - 1
    yield path


@needs_data
def test_the_log_becomes_transitions_in_si_units(bag: Path) -> None:
    found = list(BagReader([bag], TASK, robot=description.load(ROBOT)))
    assert 0.97 < len(found) * CONTROL_PERIOD / 43.2 < 1.0
    observation = np.array([t.observation for t in found])
    rate, speed = observation[:, 4], observation[:, 3]
    assert 2.0 < np.abs(rate).max() < math.radians(164)  # as in imuData.csv, which is in deg/s
    # Of the particle filter's pose: as speed and gyroscope say.
    step = np.array([t.next_observation for t in found]) - observation
    turned = (step[:, 2] + np.pi) % (2 * np.pi) - np.pi
    assert np.corrcoef(turned, rate)[0, 1] > 0.85
    gone = np.hypot(*(observation[5:, :2] - observation[:-5, :2]).T) / (5 * CONTROL_PERIOD)
    assert gone.mean() == pytest.approx(np.abs(speed).mean(), rel=0.15)


@needs_data
def test_what_the_log_cannot_say_is_said(bag: Path, tmp_path: Path) -> None:
    labels = {'v_y': 'linear.y', 'roll_rate': 'angular.x', 'odometry_rate': 'angular.z'}
    lines = [f'  {label}: {{input: odom, field: twist.twist.{at}}}' for label, at in labels.items()]
    text = ROBOT.read_text().replace('observation:\n', '\n'.join(['observation:', *lines, '']))
    (tmp_path / 'robot.yaml').write_text(text)
    task = dataclasses.replace(TASK, observation_labels=(*TASK.observation_labels, *labels))
    robot = description.load(tmp_path / 'robot.yaml', task)
    reader = BagReader([bag], task, robot=robot)
    count = len(list(reader))
    where = f'in all {count} transitions, so'
    assert reader.summary.notes == [
        f"constant {where} not measured: 'v_y', 'odometry_rate'",
        f"equal {where} one measurement at most: 'v_x', 'roll_rate'",
    ]


@needs_data
@pytest.mark.slow
def test_from_the_csv_files_to_the_table(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, out = tmp_path / 'policy', tmp_path / 'errors.json'
    words = ['train-offline', '--robot', str(ROBOT), '--bags', str(bag), '--updates', '1']
    small = ('ensemble.width=32', 'ensemble.num_layers=2', 'off_policy.width=8')
    words += [word for each in small for word in ('--set', each)]
    assert main([*words, '--no-evaluation', '--out', str(policy)]) == 0
    typed = ['compare.py', '--train', str(bag), '--test', str(bag), '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', [*typed, '--checkpoints', str(policy)])
    compare.main()
    assert '| v_x ' in capsys.readouterr().out
    rows = {row['name']: row for row in json.loads(out.read_text())['errors']}
    rate = rows['yaw_rate']
    assert rate['ensemble, 1'] < rate['unchanged, 1']
    assert rate['bicycle, 10'] < rate['unchanged, 10']


def made_up() -> Recorded:
    """A car with a wheelbase of 0.3 m, whose steering is 0.15 s late and whose speed 0.05 s."""
    rng = np.random.default_rng(0)
    steps = 80
    parts = []
    for episode in range(6):
        action = np.repeat(rng.uniform((1.0, -0.3), (3.0, 0.3), size=(steps // 4, 2)), 4, axis=0)
        before = np.concatenate((action[:1], action[:1], action))
        v, r = action[0, 0], 0.0
        states = [(v, r)]
        for k in range(steps):
            speed, steering = before[k + 2], 0.5 * (before[k + 1] + before[k])
            wanted = 0.5 * (speed[0] + before[k + 1][0])
            v = v + 0.4 * (0.9 * wanted - v)
            r = v * math.tan(steering[1]) / 0.3
            states.append((v, r))
        observation = np.zeros((steps + 1, 7))
        observation[:, 3:5] = states
        zeros, number = np.zeros(steps), np.arange(steps)
        parts.append(
            Rows(
                number * CONTROL_PERIOD,
                np.full(steps, episode),
                number,
                observation[:-1],
                action,
                zeros,
                zeros,
                observation[1:],
                zeros > 0,
                number == steps - 1,
            )  # fmt: skip
        )
    return Recorded.of(parts, TASK)


def test_the_bicycle_is_fitted() -> None:
    recorded = made_up()
    bicycle = Bicycle.fit(recorded)
    assert (bicycle.speed_delay, bicycle.steering_delay) == (0.5, 1.5)
    assert 'gain 0.90' in bicycle.describe()
    assert 'wheelbase over gain 0.300 m' in bicycle.describe()
    rows = prediction.errors(recorded, {'bicycle': bicycle}, 10)
    errors = {row['name']: row['bicycle, 10'] for row in rows}
    assert errors['v_x'] < 1e-4
    assert errors['yaw_rate'] < 1e-3
