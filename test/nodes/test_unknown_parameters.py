# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that no node heeds are named: at the start, in files, and while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from loop_ros.nodes import unknown_parameters
from loop_ros.nodes.managed import ManagedNode


@pytest.fixture(scope='module', autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.try_shutdown()


def given(tmp_path: Path, text: str, namespace: str = '/') -> list[str]:
    path = tmp_path / 'my.yaml'
    path.write_text(text)
    command = ['--ros-args', '-r', f'__ns:={namespace}', '--params-file', str(path)]
    node = Node('planner', cli_args=[*command, '-p', "launch.d0:=''"])
    try:
        node.declare_parameter('d0', 0.2)
        node.declare_parameter('group.d1', 0.2)
        return unknown_parameters.given_in_vain(node, str(path))
    finally:
        node.destroy_node()


def test_files_that_are_heeded(tmp_path: Path) -> None:
    assert given(tmp_path, 'planner: {ros__parameters: {d0: 1.0, group: {d1: 2.0}}}') == []
    other = '/**/learner: {ros__parameters: {save_period: 1.0}}\n'
    other += 'planner_server: {ros__parameters: {planner_plugins: [a]}}\n'
    assert given(tmp_path, f'{other}/**: {{ros__parameters: {{d0: 1.0}}}}', '/red') == []


def test_a_name_that_the_node_does_not_have(tmp_path: Path) -> None:
    found = given(tmp_path, '/**/planner: {ros__parameters: {dd0: 1.0, group: {d7: 2.0}}}', '/red')
    assert found == [
        "'dd0' is no parameter of /red/planner; did you mean 'd0'?",
        "'group.d7' is no parameter of /red/planner; did you mean 'group.d1'?",
    ]


@pytest.mark.parametrize(
    ('section', 'namespace'), [('/**/planer', '/'), ('planner', '/red'), ('/blue/planner', '/red')]
)
def test_a_section_for_no_node(tmp_path: Path, section: str, namespace: str) -> None:
    (found,) = given(tmp_path, f'{section}: {{ros__parameters: {{d0: 1.0}}}}', namespace)
    assert found.startswith(f"the section '{section}' of ")
    assert found.endswith("; did you mean '/**/planner'?")


def test_setting_an_unknown_parameter_names_it() -> None:
    node = ManagedNode('planner')
    try:
        result = node.set_parameters_atomically([Parameter('autostrat', value=False)])
        assert not result.successful
        assert result.reason == (
            "'autostrat' is no parameter of /planner; did you mean 'autostart'?"
        )
    finally:
        node.destroy_node()


def test_a_file_that_is_not_there() -> None:
    unknown_parameters.check_file('')
    with pytest.raises(ValueError, match=r"params_file 'nope\.yaml': no such file"):
        unknown_parameters.check_file('nope.yaml')
