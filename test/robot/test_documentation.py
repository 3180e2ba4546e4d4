# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The file that docs/robot.md shows is one."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rover import TASK, goal, joy, odometry, scan
from source_tree import TREE

from loop_ros.robot.command import decode
from loop_ros.robot.contents import Robot
from loop_ros.robot.description import load
from loop_ros.robot.observation import Assembler


@pytest.fixture
def documented(tmp_path: Path) -> Robot:
    text = (TREE / 'docs/robot.md').read_text(encoding='utf-8')
    (found,) = re.findall(r'^```yaml\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    path = tmp_path / 'robot.yaml'
    path.write_text(found)
    labels = ('speed', 'yaw_rate', 'goal_x', 'goal_y', *(f'beam_{n}' for n in range(8)))
    return load(path, dataclasses.replace(TASK, observation_labels=labels))


def test_its_observation(documented: Robot) -> None:
    assembler, message = Assembler(documented), odometry(1.0, 2.0, math.pi / 2)
    message.twist = type(message)(
        twist=type(message)(linear=type(message)(x=0.5), angular=type(message)(z=-0.1))
    )
    assembler.put('odom', message, 0.0)
    assembler.put('goal', goal(1.0, 5.0), 0.0)
    assembler.put('scan', scan([2.0] * 160 + [math.inf] * 160), 0.0)
    expected = [0.5, -0.1, 3.0, 0.0, *[2.0] * 4, *[8.0] * 4]
    np.testing.assert_allclose(assembler.observation(0.05), expected, atol=1e-9)


def test_its_joystick_goes_as_fast_as_it_says(documented: Robot) -> None:
    assert documented.takeover is not None
    task = dataclasses.replace(documented.task, action_high=(5.0, 5.0))
    found = decode(documented.takeover.components, joy(speed=1.0, turn=1.0), task)
    np.testing.assert_allclose(found, [2.0, 1.5])
