# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The SROS2 policy allows what the nodes do and nothing else; layouts show what they publish."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ears import Ears
from rover import robot_file
from source_tree import TREE
from stack import Process, node_command, until

pytestmark = pytest.mark.slow
POLICY = TREE / 'config/security/loop_ros.policy.xml'
NODES = ('planner', 'learner', 'bridge', 'panel')
OWN = {'/odom', '/goal_pose', '/scan', '/joy', '/cmd_vel'}  # of the robot file
KINDS = {'topic': ('publish', 'subscribe'), 'service': ('reply', 'request')}
NEEDS_OTHER_PACKAGES = {
    topic
    for topic, package in (('drive', 'ackermann_msgs'), ('tf', 'tf2_msgs'))
    if importlib.util.find_spec(package) is None
}
Names = dict[str, set[str]]  # by what is done with them


def allowed(node: str) -> Names:
    """What the policy says, relative to its namespace; each name once."""
    (profile,) = ET.parse(POLICY).findall(f'.//enclave[@path="/loop_ros/{node}"]/profiles/profile')
    assert profile.attrib == {'ns': '/', 'node': node}
    found: Names = {'publish': set(), 'subscribe': set(), 'reply': set(), 'request': set()}
    for group in profile:
        ((what, verdict),) = group.attrib.items()
        kind = group.tag.removesuffix('s')
        assert verdict == 'ALLOW' and what in KINDS[kind]
        for entry in group:
            name = str(entry.text).replace('~', node)
            assert entry.tag == kind and name not in found[what]
            found[what].add(name)
    return found


def done(ears: Ears, namespace: str, node: str) -> Names:
    """What the graph says, relative to the namespace."""

    def names(ask: Callable[[str, str], list[tuple[str, Any]]]) -> set[str]:
        return {name.removeprefix(f'{namespace}/') for name, _ in ask(node, namespace)}

    return {
        'publish': names(ears.get_publisher_names_and_types_by_node),
        'subscribe': names(ears.get_subscriber_names_and_types_by_node),
        'reply': names(ears.get_service_names_and_types_by_node),
        'request': names(ears.get_client_names_and_types_by_node),
    }


@pytest.fixture(scope='module')
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ears, list[str]]]:
    """A robot with odometry and, where MuJoCo is installed, one with a state; one that is real.

    With remapped clocks.
    """
    tasks = {'/car': 'drift_car'}
    if importlib.util.find_spec('mujoco'):
        tasks['/pole'] = 'InvertedPendulum'
    folder, processes = tmp_path_factory.mktemp('stacks'), []
    for namespace, task in tasks.items():
        for node in NODES if task == 'drift_car' else ('planner', 'bridge', 'panel'):
            rules = ('-r', f'__ns:={namespace}', '-r', '/clock:=clock')
            more: dict[str, object] = {'checkpoint': 'none', 'use_sim_time': True}
            if node in ('bridge', 'panel'):
                more = {'port': 0} if node == 'panel' else {'images': True}
            command = node_command(node, *rules, task=task, **more)
            processes.append(Process(command, folder / f'{task}_{node}'))
    rules = ('-r', '__ns:=/rover', '-r', '/clock:=clock')
    robot = node_command('robot', *rules, robot=robot_file(folder), use_sim_time=True)
    path = os.pathsep.join([str(TREE / 'test/support'), os.environ.get('PYTHONPATH', '')])
    processes.append(Process(robot, folder / 'robot', env={**os.environ, 'PYTHONPATH': path}))
    ears = Ears('policy_ears')
    yield ears, [*tasks, '/rover']
    ears.close()
    for process in processes:
        process.kill()


@pytest.mark.parametrize('node', [*NODES, 'robot'])
def test_the_policy_is_what_the_nodes_do(stacks: tuple[Ears, list[str]], node: str) -> None:
    ears, namespaces = stacks
    wanted = allowed(node)
    of_mujoco = set() if '/pole' in namespaces or node == 'robot' else {'state'}
    missing = NEEDS_OTHER_PACKAGES | of_mujoco

    def together() -> Names:
        found: Names = {what: set() for what in wanted}
        for namespace in namespaces:
            try:
                for what, names in done(ears, namespace, node).items():
                    found[what] |= names - OWN
            except RuntimeError:  # not there yet
                continue
        return found

    expected = {what: names - missing for what, names in wanted.items()}
    try:
        until(lambda: together() == expected, 40, 'the graph')
    except AssertionError:
        assert together() == expected


def test_layouts_show_what_the_stack_publishes(stacks: tuple[Ears, list[str]]) -> None:
    """Topics, types and fields of RViz's configuration and Foxglove's layout."""
    ears, _ = stacks
    wanted = layouts()
    present = {name for topics in map(allowed, NODES) for name in topics['publish']}
    assert {topic for topic, _ in wanted} <= {name.removeprefix('/') for name in present}

    def types() -> dict[str, str]:
        graph = ears.get_topic_names_and_types()
        return {name.removeprefix('/car').removeprefix('/'): kinds[0] for name, kinds in graph}

    until(lambda: {topic for topic, _ in wanted} <= set(types()), 40, 'all topics')
    for topic, shown in wanted:
        package, kind, name = types()[topic].split('/')
        if '/' in shown:
            assert shown == f'{package}/{kind}/{name}'
        else:
            message = getattr(importlib.import_module(f'{package}.{kind}'), name)
            assert not shown or shown in message.get_fields_and_field_types(), topic


def layouts() -> set[tuple[str, str]]:
    """Topics that are shown, each with its type or the field that is plotted, where it is said."""
    types = {
        'MarkerArray': 'visualization_msgs/msg/MarkerArray',
        'Path': 'nav_msgs/msg/Path',
        'Odometry': 'nav_msgs/msg/Odometry',
    }
    found = set()
    rviz = yaml.safe_load((TREE / 'config/view/loop_ros.rviz').read_text())
    for display in rviz['Visualization Manager']['Displays']:
        if 'Topic' in display:
            kind = types[display['Class'].removeprefix('rviz_default_plugins/')]
            found.add((display['Topic']['Value'].removeprefix('/'), kind))
    panels = json.loads((TREE / 'config/view/foxglove.json').read_text())['configById']
    for panel in panels.values():
        found |= {(topic.removeprefix('/'), '') for topic in panel.get('topics', {})}
        values = [path['value'].removeprefix('/') for path in panel.get('paths', [])]
        found |= {(topic, field) for topic, _, field in (v.rpartition('.') for v in values)}
        found |= (
            {(panel['topicToRender'].removeprefix('/'), '')} if 'topicToRender' in panel else set()
        )
    assert len(found) > 15
    return found


def test_nobody_else_commands_or_teaches() -> None:
    """The three sentences that matter, whatever the lists say."""
    rights = {node: allowed(node) for node in (*NODES, 'robot')}
    speakers = {
        topic: [node for node in rights if topic in rights[node]['publish']]
        for topic in ('command', 'drive', 'weights', 'odom', 'state', 'transition')
    }
    assert speakers['command'] == speakers['drive'] == ['planner']
    assert speakers['weights'] == ['learner']
    assert speakers['odom'] == ['bridge']
    assert speakers['state'] == speakers['transition'] == ['bridge', 'robot']


def test_the_policy_is_one_of_sros2(tmp_path: Path) -> None:
    """By the schema and the stylesheet of the tool that makes permissions of it."""
    pytest.importorskip('sros2', reason='sros2 is not installed')
    from sros2.api._artifact_generation import generate_artifacts

    generate_artifacts(tmp_path, [], [POLICY])
    for node in (*NODES, 'robot'):
        granted = (tmp_path / f'enclaves/loop_ros/{node}/permissions.xml').read_text()
        assert f'rr/{node}/set_parametersReply' in granted


def test_nodes_come_up_under_the_policy_and_strangers_hear_nothing(
    ros_domain: int, tmp_path: Path
) -> None:
    """With the security plugins of the DDS in force."""
    pytest.importorskip('sros2', reason='sros2 is not installed')
    from sros2.api._artifact_generation import generate_artifacts

    generate_artifacts(tmp_path, [], [POLICY])
    secure = {
        'ROS_SECURITY_KEYSTORE': str(tmp_path),
        'ROS_SECURITY_ENABLE': 'true',
        'ROS_SECURITY_STRATEGY': 'Enforce',
    }
    processes = []
    for node, more in (('bridge', {'duration': 20}), ('planner', {'checkpoint': 'none'})):
        command = node_command(node, '--enclave', f'/loop_ros/{node}', **more)
        log = tmp_path / f'{node}.log'
        processes.append(Process(command, log, env=os.environ | secure))
    stranger = Ears('stranger')
    try:
        until(lambda: 'Hz' in processes[0].output or processes[0].popen.poll(), 40, 'the bridge')
        if "doesn't have the security libraries" in processes[0].output:
            pytest.skip('this Fast DDS is built without its security plugins')
        processes[0].wait_for('summary: episodes=', 60)
        assert 'no command' not in processes[0].output
        assert not {'/odom', '/command'} & {
            name for name, _ in stranger.get_topic_names_and_types()
        }
    finally:
        stranger.close()
        for process in processes:
            process.kill()
