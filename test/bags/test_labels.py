# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A reading says by itself which labels no model can learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from bag_files import TASK, drive

from loop_ros.bags.reader import BagReader
from loop_ros.bags.writer import BagWriter
from loop_ros.cli.main import main
from loop_ros.types import Array, Transition

Change = Callable[[Array, Array], None]  # of an observation and an action


def changed(transitions: list[Transition], change: Change) -> list[Transition]:
    found = []
    for transition in transitions:
        observation, action = transition.observation.copy(), transition.action.copy()
        change(observation, action)
        found.append(dataclasses.replace(transition, observation=observation, action=action))
    return found


def notes(path: Path, transitions: list[Transition]) -> list[str]:
    with BagWriter(path, TASK) as bag:
        for transition in transitions:
            bag.write(transition)
    reader = BagReader([path], TASK)
    for _ in reader.batches(70):
        assert reader.summary.notes == []
    return reader.summary.notes


def zero_v_y(observation: Array, _: Array) -> None:
    observation[4] = 0.0


def v_y_is_v_x(observation: Array, _: Array) -> None:
    observation[4] = observation[3]


def rate_is_commanded(observation: Array, action: Array) -> None:
    observation[5] = action[1]


def straight(_: Array, action: Array) -> None:
    action[1] = 0.3


@pytest.mark.parametrize(
    ('change', 'wanted'),
    [
        (zero_v_y, "constant {}, so not measured: 'v_y'"),
        (straight, "constant {}, so its effect cannot be learned: the command 'steering'"),
        (v_y_is_v_x, "equal {}, so one measurement at most: 'v_x', 'v_y'"),
        (
            rate_is_commanded,
            "equal {}, so one measurement at most: 'yaw_rate', the command 'steering'",
        ),
    ],
)
def test_what_a_log_cannot_say_is_said(tmp_path: Path, change: Change, wanted: str) -> None:
    assert notes(tmp_path / 'bag', changed(drive(3, 50), change)) == [
        wanted.format('in all 150 transitions')
    ]


def test_sound_labels_are_not_mentioned(tmp_path: Path) -> None:
    assert notes(tmp_path / 'bag', drive(3, 50)) == []


def test_labels_that_part_late_are_not_mentioned(tmp_path: Path) -> None:
    transitions = drive(3, 50)
    alike = changed(transitions[:-1], v_y_is_v_x)
    assert notes(tmp_path / 'bag', [*alike, transitions[-1]]) == []


def test_a_few_transitions_say_nothing(tmp_path: Path) -> None:
    assert notes(tmp_path / 'bag', changed(drive(3, 10), zero_v_y)) == []


def test_training_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BagWriter(tmp_path / 'bag', TASK) as bag:
        for transition in changed(drive(3, 50), zero_v_y):
            bag.write(transition)
    words = ['train-offline', '--task', 'drift_car', '--bags', str(tmp_path / 'bag')]
    words += ['--updates', '1', '--no-evaluation', '--out', str(tmp_path / 'out')]
    small = ('ensemble.width=8', 'ensemble.max_epochs=1', 'off_policy.width=8')
    assert main([*words, *(word for each in small for word in ('--set', each))]) == 0
    assert "so not measured: 'v_y'" in capsys.readouterr().err.replace('\n', ' ')
