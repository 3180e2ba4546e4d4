# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot file that is right is read, and one that is wrong says everything at once."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from rover import LABELS, TASK, goal, odometry, robot_file, scan

from loop_ros.robot.description import load
from loop_ros.robot.observation import Assembler, NotReady
from loop_ros.sim.told_apart import tell_apart


def test_a_robot_file(tmp_path: Path) -> None:
    robot = load(robot_file(tmp_path))
    assert robot.task is TASK
    assert [label for q in robot.quantities for label in q.labels] == list(LABELS)
    assert robot.command.rate == 50.0 and not robot.command.interpolate
    assert robot.takeover is not None and robot.takeover.components[0].scale == 0.5


def test_all_mistakes_are_listed_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / 'robot.yaml'
    path.write_text(
        'task: rover:TASK\n'
        'inputs:\n'
        '  odom: {topic: /odom, type: Odometry, age: 3, max_age: }\n'
        'observation:\n'
        '  x: {input: odometry, field: pose..x}\n'
        '  z: {input: odom, field: z}\n'
        '  beam_*: {input: odom, sectors: 4}\n'
        '  y: {input: odom, field: y, scale: fast, unit: furlong}\n'
        'command:\n'
        '  topic: /cmd_vel\n'
        '  type: geometry_msgs/msg/Twist\n'
        '  rate: 5\n'
        '  fields: {speed: {field: linear.x, scale: 0}, steer: {field: angular.z}}\n'
        'episode: {start: service}\n'
        'wheels: 4\n'
    )
    with pytest.raises(ValueError) as caught:
        load(path)
    found = str(caught.value)
    for expected in (
        ":3: inputs.odom.type is 'Odometry', not a type as package/msg/Name",
        ':3: inputs.odom.max_age is None, not a number',
        ':3: inputs.odom.age is unknown; use topic, type, max_age, frame, child_frame',
        ":5: observation.x.input is 'odometry'; inputs are odom",
        ":5: observation.x.field: 'pose..x' is no path of fields",
        ":6: 'z' is no observation of task 'rover', which has x, y, yaw",
        ':7: observation.beam_*.sectors is 4 for 3 observations',
        ":8: observation.y.scale is 'fast', not a number",
        ":8: observation.y.unit 'furlong' is unknown; use m, rad",
        ':4: observation has no yaw, goal_x, goal_y',
        ':12: command.rate is 5, outside [9.9, 10000]',
        ':13: command.fields has no turn',
        ':13: command.fields.speed.scale is 0',
        ":13: 'steer' is no action of task 'rover', which has speed, turn",
        ':14: episode.start is service, and there is no service',
        ':15: wheels is unknown',
    ):
        assert f'{path}{expected}' in found, found
    assert len(found.splitlines()) == 16, found


@pytest.mark.parametrize('text', ['', '[1, 2]', 'a: [', '- x', 'task: 3'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'robot.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=r'robot\.yaml'):
        load(path)
    with pytest.raises(ValueError, match='no such file'):
        load(tmp_path / 'nowhere.yaml')


class TestAssembler:
    @pytest.fixture
    def assembler(self, tmp_path: Path) -> Assembler:
        found = Assembler(load(robot_file(tmp_path)))
        found.put('odom', odometry(1.0, 2.0, np.pi / 2), 10.0)
        found.put('goal', goal(1.0, 5.0), 0.0)
        found.put('scan', scan([4.0, 3.0, 2.0, 1.0]), 10.0)
        return found

    def test_an_observation(self, assembler: Assembler) -> None:
        expected = [1.0, 2.0, np.pi / 2, 3.0, 0.0, 3.0, 2.0, 1.0]
        assert assembler.observation(10.0) == pytest.approx(expected, abs=1e-9)

    @pytest.mark.parametrize(
        ('name', 'message', 'reason'),
        [
            ('odom', odometry(frame='map'), "'odom' on /odom: frame is 'map', not 'odom'"),
            ('odom', odometry(float('nan')), "x of 'odom': nan is no number to work with"),
            ('odom', odometry(5000.0), 'look at its unit, scale and offset'),
            ('goal', goal(frame='map'), "its pose is in frame 'map', that of 'odom' in 'odom'"),
            ('scan', scan([]), 'the scan is empty'),
        ],
    )
    def test_what_is_wrong_is_named(
        self, assembler: Assembler, name: str, message: object, reason: str
    ) -> None:
        assembler.put(name, message, 10.0)
        with pytest.raises(NotReady, match=reason):
            assembler.observation(10.0)
        assert 'robot.yaml:' in assembler.problems(10.0)[0]
        assert re.search(reason, assembler.problems(10.0)[0])

    def test_what_is_old_or_missing_is_named(self, assembler: Assembler) -> None:
        with pytest.raises(NotReady, match="'odom' on /odom is 0.3 s old, at most 0.15 s"):
            assembler.observation(10.3)
        assert len(assembler.problems(11.0)) == 2  # the goal holds
        assembler.clear()
        assert len(assembler.problems(11.0)) == 3


def test_a_value_is_observed_as_it_is(tmp_path: Path) -> None:
    """As the number of a robot among others that the models tell apart."""
    path = robot_file(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('observation:\n', 'observation:\n  robot: {value: 2}\n'))
    robot = load(path, tell_apart(TASK, '3'))
    assembler = Assembler(robot)
    with pytest.raises(NotReady, match='no message'):
        assembler.observation(0.0)
    for name, message in (('odom', odometry()), ('scan', scan([4.0, 3.0, 2.0])), ('goal', goal())):
        assembler.put(name, message, 0.0)
    assert assembler.observation(0.0)[-1] == 2.0
    path.write_text(
        text.replace('observation:\n', 'observation:\n  robot: {value: two, field: x}\n')
    )
    with pytest.raises(
        ValueError, match="robot.field is unknown; use value\n.*'two', not a number"
    ):
        load(path, tell_apart(TASK, '3'))
