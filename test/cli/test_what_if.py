# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros what-if: other thresholds at recorded states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

from loop_ros.bags.writer import BagWriter
from loop_ros.cli.main import main


@pytest.fixture(scope='module')
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint and a bag of forty steps."""
    folder = tmp_path_factory.mktemp('recorded')
    tiny.trained(60).save(folder / 'agent')
    with BagWriter(folder / 'bag', tiny.TASK) as bag:
        for transition in tiny.transitions(40, seed=3):
            bag.write(transition)
    return folder / 'agent', folder / 'bag'


def asked(recorded: tuple[Path, Path], capsys: Any, *arguments: str) -> tuple[int, Any, str]:
    agent, bag = recorded
    code = main(['what-if', str(bag), '--checkpoint', str(agent), '--json', *arguments])
    out, err = capsys.readouterr()
    return code, json.loads(out) if code == 0 else None, err


def test_a_row_for_each_threshold_over_all_states(recorded: tuple[Path, Path], capsys: Any) -> None:
    """A larger one keeps more sequences safe; the plan's own changes nothing."""
    code, found, _ = asked(recorded, capsys, '--d0', '3', '0', '0.2')
    assert code == 0
    assert found['plans'] == 40 and found['d0'] == 0.2
    assert [row['d0'] for row in found['thresholds']] == [0.0, 0.2, 3.0]
    safe = [row['safe sequences'] for row in found['thresholds']]
    assert safe == sorted(safe)
    assert found['thresholds'][1]['action differs by'] == pytest.approx(0.0, abs=1e-7)
    agent, bag = map(str, recorded)
    assert main(['what-if', bag, '--checkpoint', agent, '--d0', '3', '0', '0.2']) == 0
    assert '40 plans under d0 = 0.2, judged under others' in capsys.readouterr().out


def test_an_algorithm_that_does_not_heed_d0_is_called_so(
    recorded: tuple[Path, Path], capsys: Any
) -> None:
    code, found, said = asked(recorded, capsys, '--set', 'planner.algorithm=arc', '--steps', '5')
    assert code == 0
    assert 'arc ignores d0' in said
    assert {row['action differs by'] for row in found['thresholds']} == {0.0}


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        (['--set', 'planner.algorithm=actor'], 'the algorithm actor compares nothing'),
        (['--d0', '-1'], 'each d0 is a finite number from 0'),
    ],
)
def test_what_cannot_be_asked_is_refused(
    recorded: tuple[Path, Path], capsys: Any, arguments: list[str], reason: str
) -> None:
    code, _, out = asked(recorded, capsys, *arguments)
    assert code == 2
    assert reason in out
