# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other weights by the planner's parameter `checkpoint`, while it drives."""

from __future__ import annotations

from pathlib import Path

import pytest
from planner_robot import Robot, module_planner
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from stack import Process, make_checkpoint, until

pytestmark = pytest.mark.slow
planner = module_planner(trial_steps=0)


def choose(robot: Robot, name: Path | str) -> tuple[bool, str]:
    value = ParameterValue(type=4, string_value=str(name))
    request = SetParameters.Request(parameters=[Parameter(name='checkpoint', value=value)])
    (result,) = robot.call(SetParameters, '/planner/set_parameters', request).results
    return result.successful, result.reason


def test_weights_of_another_folder_are_tried_after_the_next_plan(
    planner: tuple[Process, Robot], tmp_path: Path
) -> None:
    _, robot = planner
    before = robot.drive()['predicted_return']
    other = make_checkpoint(tmp_path / 'other', seed=5)
    assert choose(robot, other) == (True, '')
    robot.drive()
    until(lambda: robot.status()['trial of weights'] == 'version 1 taken', 5, 'the verdict')
    assert robot.drive()['predicted_return'] != pytest.approx(before)


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('nowhere', "checkpoint 'nowhere': no agent.json there"),
        ('none', 'untrained weights can be chosen at the start only'),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_changes(
    planner: tuple[Process, Robot], name: str, reason: str
) -> None:
    _, robot = planner
    before = robot.status()['trial of weights']
    successful, said = choose(robot, name)
    assert not successful
    assert reason in said
    robot.drive()
    assert robot.status()['trial of weights'] == before


def test_weights_of_other_sizes_are_refused_by_the_trial(planner: tuple[Process, Robot]) -> None:
    _, robot = planner
    assert choose(robot, 'shipped')[0]
    robot.drive()
    until(lambda: robot.status()['trial of weights'].startswith('refused: '), 5, 'the verdict')
