# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The flight recorder in the planner node as a process: what it writes, when, and at what price."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planner_robot import CAR, running
from stack import until
from std_srvs.srv import Trigger

from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.cli.main import main
from loop_ros.control.supervisor import PLAN, STOP
from loop_ros.nodes import conversions
from loop_ros.snapshots import files

pytestmark = pytest.mark.slow


def rerun(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """What `loop-ros rerun` says of a snapshot whose plans are all the same."""
    capsys.readouterr()
    code = main(['rerun', str(folder), '--json'])
    said = capsys.readouterr().out
    assert code == 0, said
    found: dict[str, object] = json.loads(said)
    return found


def test_stops_refusals_and_requests_are_kept_and_planned_again(
    ros_domain: int, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With new weights and another threshold on the way; the robot drives meanwhile."""
    folder = tmp_path / 'snapshots'
    patient = {'snapshots': folder, 'trial_steps': 0, 'state_timeout': 60.0}
    with running(checkpoint, tmp_path / 'log', **patient) as (process, robot):
        for _ in range(5):
            robot.drive()
        newer = Agent.load(checkpoint, CAR, seed=1)
        newer.version = 2
        robot.weights.publish(conversions.weights_to_msg(newer.weights()))
        while robot.status()['weights version'] != '2':
            robot.drive()
        assert robot.set('d0', 3.0)[0]
        for _ in range(5):
            assert robot.drive()['level'] == PLAN
        asked = Path(robot.trigger('snapshot'))
        assert asked.parent == folder and asked.name.endswith('Z_asked')
        until(asked.is_dir, 10, 'the snapshot')
        robot.weights.publish(conversions.weights_to_msg(b'no weights'))
        refused = None
        while refused is None:
            robot.drive()
            refused = next(folder.glob('*Z_refused_weights'), None)
        assert int(robot.status()['snapshots']) == 2
        robot.trigger('stop')
        assert robot.drive()['level'] == STOP
        assert process.interrupt() == 0  # what waits is written at the end
    (stopped,) = folder.glob('*Z_stop')
    for path in (asked, refused, stopped):
        assert int(str(rerun(path, capsys)['plans'])) >= 10
    found = files.read(stopped)
    assert set(found.columns.plans.weights.tolist()) == {0, 1}
    assert set(found.columns.plans.metric('d0').tolist()) == {0.2, 3.0}
    assert found.triggers[0].reason == 'operator stop'
    assert found.columns.commands.level[-1] == STOP  # what followed is in it
    assert 'weights refused: version 2 stays' in files.read(refused).triggers[0].reason
    assert len(list(BagReader([stopped / 'bag'], CAR))) >= 10


def test_a_folder_that_cannot_be_written_harms_nothing(
    ros_domain: int, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / 'file').write_text('no folder')
    folder = tmp_path / 'file' / 'snapshots'
    with running(checkpoint, tmp_path / 'log', snapshots=folder) as (process, robot):
        robot.drive()
        assert robot.trigger('snapshot').startswith(str(folder))
        process.wait_for('not written: ')
        for _ in range(5):
            assert robot.drive()['level'] == PLAN
        status = robot.status()
        assert (status['snapshots'], status['snapshots not written']) == ('0', '1')


def test_it_can_be_off(ros_domain: int, checkpoint: Path, tmp_path: Path) -> None:
    with running(checkpoint, tmp_path / 'log', snapshots="''") as (_, robot):
        assert robot.drive()['level'] == PLAN
        answer = robot.call(Trigger, '/planner/snapshot', Trigger.Request())
        assert not answer.success and 'names no folder' in answer.message
        assert robot.status()['snapshots'] == 'off'
