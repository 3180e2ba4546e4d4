# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A task that cannot work is refused when it is made, with all that is wrong with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from loop_ros.sim import registry
from loop_ros.sim.drawing import Curve, Drawing
from loop_ros.sim.task import Task
from loop_ros.sim.task_functions import check_functions

CAR = registry.task('drift_car')


def changed(**values: Any) -> Task:
    return dataclasses.replace(CAR, **values)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'name': 'my robot'}, 'name is not a word'),
        ({'name': 'a:b'}, 'name is not a word'),
        ({'action_labels': ('speed', 'speed')}, "action_labels has 'speed' twice"),
        ({'action_labels': ('speed',)}, 'action_low has 2 values for 1 actions'),
        ({'action_labels': 'speed'}, r"write \('speed',\) for a single one"),
        ({'action_labels': (1, 2)}, 'action_labels are not all texts'),
        ({'action_low': ('0', '1')}, 'action_low are not all numbers'),
        ({'action_low': None}, 'action_low is None, not a tuple'),
        ({'observation_labels': ()}, 'no observation is labelled'),
        ({'observation_labels': ('x', 'a,b'), 'odometry': False}, "'a,b': a label has no comma"),
        ({'action_interfaces': ('force', 'position')}, "'force' is none of position, velocity"),
        ({'action_low': (10.0, -1.0)}, "limits of 'wheel_speed' are 10.0 and 10.0"),
        ({'action_high': (np.inf, 1.0)}, "limits of 'wheel_speed' are 0.0 and inf"),
        ({'safe_command': (-1.0, 0.0)}, "safe command of 'wheel_speed' is -1.0, outside 0.0"),
        ({'safe_command': (np.nan, 0.0)}, "safe command of 'wheel_speed' is nan"),
        ({'control_period': 0.0}, 'control_period is 0.0 s, not above 0'),
        ({'control_period': '0.1'}, "control_period is '0.1', not a number"),
        ({'max_episode_steps': 0}, 'max_episode_steps is 0, below 1'),
        ({'max_episode_steps': 10.5}, 'max_episode_steps is 10.5, not a whole number'),
        ({'state_dim': 0}, 'state_dim is 0'),
        ({'default_d0': -0.1}, 'default_d0 is -0.1, below 0'),
        ({'encode': None}, 'encode is None, not a function'),
        ({'cost': 1.0}, 'cost is 1.0, not a function'),
        ({'environment': 'DriftCar'}, "environment is 'DriftCar', not a function"),
        ({'profile': ''}, 'profile is not the name'),
        ({'observation_labels': ('x', 'pitch', 'roll')}, 'not pitch, roll: choose of these'),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(**values)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError) as raised:
        changed(control_period=-1.0, safe_command=(20.0, 0.0), observation_labels=('x', 'z'))
    message = str(raised.value)
    assert message.startswith("task 'drift_car': ")
    assert all(part in message for part in ('control_period', 'safe command', 'not z'))


def test_lists_and_arrays_are_taken_for_tuples() -> None:
    task = changed(action_low=np.array(CAR.action_low), action_labels=list(CAR.action_labels))
    assert task == CAR
    assert hash(task) == hash(CAR)


def test_an_odometry_of_some_labels_in_any_order_is_a_task() -> None:
    assert changed(observation_labels=('yaw_rate', 'v_x')).odometry


def test_without_a_simulation_it_says_so() -> None:
    with pytest.raises(ValueError, match="'drift_car' has no simulation"):
        changed(environment=None).make()


@pytest.mark.parametrize('name', registry.names())
def test_the_shipped_tasks_functions_fit(name: str) -> None:
    check_functions(registry.task(name))


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'state_dim': 7}, r'encode of \[2, 3, 6\] gives \[2, 3, 6\], not \[2, 3, 7\]'),
        ({'cost': lambda state: state[:, 0]}, r'cost of .* gives \[2, 6\], not \[2, 3\]'),
        ({'cost': lambda state: state[..., 9]}, 'cost fails on .*IndexError'),
        ({'cost': lambda state: 1.0}, 'cost gives float, not a tensor'),
        ({'termination': lambda state: state[..., 0]}, 'not torch.bool'),
        ({'reward': lambda o, a, n: a}, r'reward of .* gives \[2, 3, 2\], not \[2, 3\]'),
        ({'decode': lambda state: state[..., :2]}, 'decode of'),
        ({'metrics': lambda observation: {'x': observation}}, 'metrics gives'),
        ({'metrics': lambda observation: {}}, 'metrics gives {}'),
        ({'drawing': Drawing(curves=(Curve('height'),))}, 'curves of height, which metrics'),
        (
            {'path': lambda o, states: states[:, :2]},
            r'path of \[3, 6\] gives \[3, 2\], not \[3, 3\]',
        ),
        (
            {'drawing': Drawing(around=lambda o: ((0, 0),))},
            r'around gives \(\(0, 0\),\), not circles',
        ),
    ],
)
def test_functions_that_do_not_fit_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_functions(changed(**values))


def test_all_functions_that_do_not_fit_are_named() -> None:
    flat = changed(cost=lambda state: torch.zeros(2), termination=lambda state: state)
    with pytest.raises(ValueError, match='cost of .*; termination of '):
        check_functions(flat)
