# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Planner settings as ROS parameters: what is refused, what is converted, what is applied."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from loop_ros.nodes.agents import AgentParameters
from loop_ros.nodes.bridge_parameters import BridgeParameters
from loop_ros.nodes.parameters import PlannerParameters, declare, declare_numbers, differences
from loop_ros.settings import PlannerSettings, Settings
from loop_ros.sim import registry


@pytest.fixture
def make(context: Context) -> Iterator:
    nodes = []

    def make_node(*arguments: str) -> Node:
        command = ['--ros-args', *(part for a in arguments for part in ('-p', a))]
        nodes.append(Node('planner', context=context, cli_args=command))
        return nodes[-1]

    yield make_node
    for node in nodes:
        node.destroy_node()


@pytest.fixture(scope='module')
def planner(context: Context) -> Iterator[tuple[Node, PlannerParameters, list[PlannerSettings]]]:
    node, changes = Node('fuzzed', context=context), []
    yield node, PlannerParameters(node, PlannerSettings(), changes.append), changes
    node.destroy_node()


def test_every_setting_has_a_described_parameter(planner) -> None:
    node, _, _ = planner
    for item in dataclasses.fields(PlannerSettings):
        descriptor = node.describe_parameter(item.name)
        assert descriptor.description.startswith(item.metadata['description'])
        assert descriptor.read_only == (not item.metadata['live'])
        if item.metadata['choices']:
            assert item.metadata['choices'][0] in descriptor.additional_constraints
        elif item.type != 'bool':
            assert descriptor.floating_point_range or descriptor.integer_range
    assert node.describe_parameter('d0').floating_point_range[0].from_value == 0.0
    assert '[steps]' in node.describe_parameter('horizon').description


@pytest.mark.parametrize(
    ('given', 'name', 'wanted'),
    [
        ('d0:=1', 'd0', 1.0),
        ('d0:=0.75', 'd0', 0.75),
        ('num_samples:=64.0', 'num_samples', 64),
        ('algorithm:=cem', 'algorithm', 'cem'),
        ('propagate_noise:=false', 'propagate_noise', False),
    ],
)
def test_values_at_the_start(make, given: str, name: str, wanted: object) -> None:
    parameters = PlannerParameters(make(given), PlannerSettings(), lambda _: None)
    found = getattr(parameters.settings, name)
    assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize(
    ('given', 'reason'),
    [
        ('d0:=-1', 'd0 out of range'),
        ('d0:=.nan', 'd0 out of range'),
        ('d0:=.inf', 'd0 out of range'),
        ('d0:=fast', "d0: 'fast' is not"),
        ('d0:=true', 'd0: True is not'),
        ('num_samples:=2.5', 'num_samples: 2.5'),
        ('algorithm:=ppo', "algorithm: 'ppo' is not one of"),
    ],
)
def test_bad_values_at_the_start_say_why(make, given: str, reason: str) -> None:
    with pytest.raises((ValueError, ParameterException), match=reason):
        PlannerParameters(make(given), PlannerSettings(), lambda _: None)


@pytest.mark.parametrize('given', ['[1, 2]', '[1.0, 2.0]'])
def test_a_number_for_each_action(make, given: str) -> None:
    node = make(f'rate_limits:={given}')
    assert declare_numbers(node, 'rate_limits', [0.0] * 2, 'most change').tolist() == [1.0, 2.0]
    assert node.describe_parameter('rate_limits').read_only
    assert declare_numbers(make(), 'rate_limits', [0.0] * 3, 'most change').tolist() == [0.0] * 3


@pytest.mark.parametrize(
    'given', ['[1.0]', '[]', '[1.0, -1.0]', '[1.0, .nan]', '[1.0, .inf]', 'fast', '3.0', '[a, b]']
)
def test_numbers_that_cannot_be_say_what_is_expected(make, given: str) -> None:
    with pytest.raises(ValueError, match='rate_limits: .* is not 2 numbers from 0'):
        declare_numbers(make(f'rate_limits:={given}'), 'rate_limits', [0.0] * 2, 'most change')


@pytest.mark.parametrize('given', ['007', '1e5', '1.10', 'on', '0x1F'])
def test_text_that_yaml_takes_for_another_value(make, given: str) -> None:
    """How it was written cannot be known any more, so it is refused with the remedy."""
    with pytest.raises(ValueError, match='checkpoint: YAML reads this as .* quote it twice'):
        declare(make(f'checkpoint:={given}'), 'checkpoint', 'shipped', 'weights')
    assert declare(make(f"checkpoint:='{given}'"), 'checkpoint', 'shipped', 'weights') == given


@pytest.mark.parametrize(
    ('value', 'accepted'),
    [
        (0.5, True),
        (3, True),
        (0, True),
        (-0.1, False),
        (-1, False),
        (math.nan, False),
        (math.inf, False),
        (1e7, False),
        ('0.5', False),
        ('1e-3', True),  # to YAML 1.1, and so to `ros2 param set`, this is text
        ('1e9', False),
        (True, False),
        ([0.5], False),
    ],
)
def test_d0_while_running(make, value: object, accepted: bool) -> None:
    changes: list[PlannerSettings] = []
    node = make()
    parameters = PlannerParameters(node, PlannerSettings(), changes.append)
    (result,) = node.set_parameters([Parameter('d0', value=value)])
    assert result.successful == accepted, result.reason
    if accepted:
        assert (
            changes[-1].d0
            == parameters.settings.d0
            == node.get_parameter('d0').value
            == float(value)
        )
    else:
        assert result.reason
        assert not changes and node.get_parameter('d0').value == 0.2


def test_read_only_and_deletion_are_refused(planner) -> None:
    node, _, _ = planner
    (result,) = node.set_parameters([Parameter('horizon', value=5)])
    assert not result.successful and 'horizon' in result.reason
    (result,) = node.set_parameters([Parameter('d0', Parameter.Type.NOT_SET, None)])
    assert not result.successful


def test_all_or_nothing(planner) -> None:
    node, parameters, changes = planner
    before, count = parameters.settings, len(changes)
    result = node.set_parameters_atomically(
        [Parameter('d0', value=0.9), Parameter('temperature', value=-1.0)]
    )
    assert not result.successful and 'temperature' in result.reason
    assert parameters.settings == before and len(changes) == count


values = st.one_of(
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(max_size=20),
    st.lists(st.floats(), max_size=3),
    st.lists(st.integers(0, 9), max_size=3),
    st.binary(),
    st.none(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([f.name for f in dataclasses.fields(PlannerSettings)]), values)
@example('d0', -0.0)
@example('min_safe', 1.0)
def test_whatever_is_set_the_settings_stay_valid(planner, name: str, value: object) -> None:
    node, parameters, _ = planner
    try:
        parameter = Parameter(name, value=value)
    except (TypeError, ValueError):
        return  # no ROS parameter can hold it
    before = node.get_parameter(name).value
    (result,) = node.set_parameters([parameter])
    after = node.get_parameter(name).value
    assert getattr(parameters.settings, name) == after
    assert type(after) is type(before)
    if not result.successful:
        assert result.reason and after == before
    assert dataclasses.replace(parameters.settings) == parameters.settings


@pytest.mark.parametrize('task', ['drift_car', 'Hopper', 'PointGoal1'])
@pytest.mark.parametrize('profile', ["''", 'paper'])
def test_the_tasks_threshold_is_the_default(make, task: str, profile: str) -> None:
    parameters = AgentParameters.declare(make(f'task:={task}', f'profile:={profile}'))
    settings = parameters.settings or Settings.for_task(parameters.task)
    assert settings.planner.d0 == registry.task(task).default_d0


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ((), 0.2),
        (("launch.d0:=''",), 0.2),
        (('d0:=3', "launch.d0:=''"), 3.0),
        (('d0:=3', 'launch.d0:=1'), 1.0),
        (('launch.d0:=0',), 0.0),
    ],
)
def test_an_argument_of_the_launch_counts_where_it_is_given(
    make, given: tuple[str, ...], expected: float
) -> None:
    """Its empty default is not a value: that of a parameter file stays."""
    node = make(*given)
    assert PlannerParameters(node, PlannerSettings(), lambda _: None).settings.d0 == expected
    assert not node.has_parameter('launch.d0')


def test_whoever_sets_d0_hears_that_nothing_heeds_it(
    make, capfd: pytest.CaptureFixture[str]
) -> None:
    changes: list[PlannerSettings] = []
    node = make('algorithm:=arc')
    PlannerParameters(node, PlannerSettings(), changes.append)
    node.set_parameters([Parameter('d0', value=1.0)])
    assert changes[-1].d0 == 1.0
    text = 'algorithm arc ignores d0: safe_arc and safe_cem keep it'
    assert text in capfd.readouterr().err
    node.set_parameters([Parameter('algorithm', value='safe_arc')])
    node.set_parameters([Parameter('d0', value=2.0)])
    assert text not in capfd.readouterr().err


def test_settings_that_differ_are_named() -> None:
    changed = dataclasses.replace(PlannerSettings(), algorithm='arc', horizon=4)
    assert differences(changed, PlannerSettings()) == 'algorithm arc (safe_arc), horizon 4 (8)'
    assert differences(changed, changed) == ''


@pytest.mark.parametrize('declare', [AgentParameters.declare, BridgeParameters.declare])
def test_a_task_is_also_named_by_where_it_is(make, declare) -> None:
    node = make('task:=loop_ros.sim.pen_goal:TASK', 'profile:=mujoco')
    assert declare(node).task.name == 'PenGoal-v1'
    with pytest.raises(ValueError, match="unknown task 'drift_bike'; choose one of: Ant, "):
        declare(make('task:=drift_bike'))
