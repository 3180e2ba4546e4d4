# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a launch argument says arrives at the node as it was written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from rclpy.context import Context
from rclpy.node import Node
from source_tree import TREE
from stack import environment, make_prefix

from loop_ros.nodes.parameters import declare
from loop_ros.nodes.unknown_parameters import check_file
from ros2_standalone.launch_actions import Launch
from ros2_standalone.process import ProcessSpec

# YAML 1.1 (the launch), 1.2 and C's strtod (rcl) take some of these for numbers, dates or booleans.
NAMES = ['2024_01_06', '1e5', '007', '1.10', '12:30', 'on', '0x1F', '.inf', '2024-01-06', "it's"]
TEXTS = {
    'stack': {
        'bridge': ('task', 'frames'),
        'planner': ('task', 'device', 'profile', 'checkpoint'),
        'learner': ('task', 'device', 'profile', 'checkpoint', 'checkpoint_dir'),
    },
    'robot': {
        'robot': ('task', 'robot'),
        'planner': ('task', 'device', 'profile', 'checkpoint'),
        'learner': ('task', 'device', 'profile', 'checkpoint', 'checkpoint_dir'),
    },
}


@pytest.fixture
def carry_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    env = environment(make_prefix(tmp_path / 'prefix'))
    monkeypatch.setenv('AMENT_PREFIX_PATH', env['AMENT_PREFIX_PATH'])
    monkeypatch.setenv('HOME', '/home/me')
    (tmp_path / 'parameters').mkdir()

    def start(name: str, **arguments: str) -> list[ProcessSpec]:
        launch = Launch(tmp_path / 'parameters', lambda warning: None)
        return launch.carry_out(TREE / f'launch/{name}.launch.yaml', arguments)

    return start


def received(context: Context, process: ProcessSpec, names: Iterable[str]) -> dict[str, str]:
    """What a node of the launch reads in parameters of these names."""
    node = Node('node', context=context, cli_args=list(process.command[1:]))
    try:
        return {name: declare(node, name, 'nothing', '') for name in names}
    finally:
        node.destroy_node()


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('file', TEXTS)
def test_names_that_look_like_yaml(carry_out, context: Context, file: str, name: str) -> None:
    texts = {argument for arguments in TEXTS[file].values() for argument in arguments}
    processes = carry_out(file, **dict.fromkeys([*texts, 'record'], name))
    for process, arguments in zip(processes, TEXTS[file].values(), strict=False):
        assert received(context, process, arguments) == dict.fromkeys(arguments, name)
    recorder = processes[-1].command
    assert recorder[recorder.index('-o') + 1] == name


@pytest.mark.parametrize('file', TEXTS)
def test_home(carry_out, context: Context, file: str) -> None:
    """The recorder and rcl do not know ~; the nodes do."""
    processes = carry_out(
        file, robot='r', task='t', record='~/bags/a~b', params_file='~/nowhere.yaml'
    )
    recorder = processes[-1].command
    assert recorder[recorder.index('-o') + 1] == '/home/me/bags/a~b'
    for process in processes[:-1]:
        with pytest.raises(ValueError, match=r"'/home/me/nowhere\.yaml': no such file"):
            check_file(received(context, process, ['params_file'])['params_file'])


def test_robots_of_a_fleet(carry_out, context: Context) -> None:
    learner, *robots = carry_out(
        'fleet', robots='3', task='1e5', disturb='none,friction=0.9+delay=1', record='a b', seed='7'
    )
    assert received(context, learner, ['sources', 'task']) == {
        'sources': 'robot_1..3',
        'task': '1e5',
    }
    assert [robot.respawn for robot in robots] == [True] * 3
    words = [
        dict(word.split(':=', 1) for word in robot.command if ':=' in word[1:]) for robot in robots
    ]
    assert [w['namespace'] for w in words] == ['robot_1', 'robot_2', 'robot_3']
    assert [w['disturb'] for w in words] == ['none', 'friction=0.9+delay=1', 'none']
    assert [w['seed'] for w in words] == ['7', '1007', '2007']
    assert [w['record'] for w in words] == ['a b_robot_1', 'a b_robot_2', 'a b_robot_3']
    assert {w['fleet'] for w in words} == {'/'}
    learner, *robots = carry_out('fleet', robot_files='/a b.yaml,c.yaml', task='t')
    assert received(context, learner, ['sources']) == {'sources': 'robot_1..2'}
    assert [robot.command[4:7] for robot in robots] == [
        ('robot.launch.yaml', f'namespace:=robot_{number}', 'fleet:=/') for number in (1, 2)
    ]
    assert ['robot:=/a b.yaml' in robots[0].command, 'robot:=c.yaml' in robots[1].command] == [
        True
    ] * 2


@pytest.mark.parametrize(
    ('files', 'step_mode', 'clock'),
    [('', 'lockstep', 'clock'), ('a.yaml,b.yaml', 'realtime', '/clock')],
)
def test_one_planner_of_a_fleet(
    carry_out, context: Context, files: str, step_mode: str, clock: str
) -> None:
    _, planner, *robots = carry_out(
        'fleet', robots='2', robot_files=files, task='1e5', one_planner='true', step_mode='lockstep'
    )
    assert planner.command[1] == 'robot_1..2'
    assert {f'/clock:={clock}', 'weights:=/weights'} < set(planner.command)
    given = received(context, planner, ['task', 'weights_from', 'step_mode'])
    assert given == {'task': '1e5', 'weights_from': '/learner', 'step_mode': step_mode}
    node = Node('node', context=context, cli_args=list(planner.command[2:]))
    odometry_given = declare(node, 'odometry', True, '')
    node.destroy_node()
    assert odometry_given is (not files)
    assert ['planner:=false' in robot.command for robot in robots] == [True] * 2


@pytest.mark.parametrize('file', TEXTS)
def test_a_robot_whose_planner_runs_elsewhere(carry_out, file: str) -> None:
    processes = carry_out(file, robot='r', task='t', planner='false', fleet='/')
    assert len(processes) == 1


@pytest.mark.parametrize('file', TEXTS)
def test_a_robot_of_a_fleet_has_no_learner_of_its_own(
    carry_out, context: Context, file: str
) -> None:
    processes = carry_out(file, robot='r', task='t', namespace='red', fleet='/lab/')
    assert len(processes) == 2
    planner = processes[1]
    assert 'weights:=/lab/weights' in planner.command
    assert received(context, planner, ['weights_from']) == {'weights_from': '/lab/learner'}


def test_nothing_is_recorded_unasked(carry_out) -> None:
    assert len(carry_out('stack')) == 3
    assert len(carry_out('stack', record='a b')) == 4
