# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 param`, `topic`, `node`, `service` and `lifecycle` against real nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from source_tree import TREE
from standalone_cli import COMMAND, read_until, ros2, start, talking

pytestmark = pytest.mark.slow
# Each list runs in order; the lists run beside each other, for most of the time is discovery.
SEQUENCES: dict[str, list[list[str]]] = {
    'values': [
        ['param', 'get', '/talker', 'd0'],
        ['param', 'set', '/talker', 'd0', '0.75'],
        ['param', 'get', 'talker', 'd0', '--hide-type'],
        ['param', 'set', '/talker', 'd0', '1'],
        ['param', 'set', '/talker', 'd0', '5.0'],
        ['param', 'set', '/talker', 'd0', '1e-3'],
    ],
    'other values': [
        ['param', 'set', '/talker', 'count', '4'],
        ['param', 'get', '/talker', 'count'],
        ['param', 'get', '/talker', 'gains'],
        ['param', 'get', '/talker', 'nope'],
    ],
    'parameters': [
        ['param', 'list', '/talker', '--param-type', '--filter', '.*[d0t]$'],
        ['param', 'list'],
        ['param', 'describe', '/talker', 'd0', 'name.first'],
        ['param', 'describe', '/talker', 'nope'],
        ['param', 'dump', '/talker'],
        ['param', 'get', '/nobody', 'd0', '--timeout', '0.5'],
    ],
    'graph': [
        ['node', 'list'],
        ['node', 'list', '-c'],
        ['topic', 'list', '-t'],
        ['topic', 'info', '/odom'],
        ['topic', 'info', '-v', 'latched'],
        ['service', 'list', '-t'],
    ],
    'messages': [
        ['topic', 'echo', '--once', '/chatter'],
        ['topic', 'echo', '--once', 'odom', '--field', 'pose.pose.orientation'],
        ['topic', 'echo', '--once', '/odom', '--field', 'pose.nope'],
        ['topic', 'echo', '--once', '/odom', '--no-arr', '--flow-style', '--no-str'],
        ['topic', 'echo', '--once', '/latched'],
        ['topic', 'echo', '--once', '/silent', 'std_msgs/msg/String', '--timeout', '0.5'],
        ['topic', 'echo', '--once', '/silent', 'std_msgs/msg/Strang'],
    ],
    'services': [
        ['service', 'call', '/toggle', 'std_srvs/srv/SetBool', '{data: true}'],
        ['service', 'call', '/toggle', 'std_srvs/srv/SetBool', '{dato: true}'],
        ['service', 'call', '/toggle', 'std_srvs/srv/SetBool', '{data: 5}'],
        ['service', 'call', '/toggle', 'no_srvs/srv/SetBool'],
    ],
    'lifecycle': [
        ['lifecycle', 'nodes'],
        ['lifecycle', 'get', '/stateful'],
        ['lifecycle', 'set', '/stateful', 'activate'],
        ['lifecycle', 'set', '/stateful', 'configure'],
        ['lifecycle', 'get'],
        ['lifecycle', 'set', '/stateful', 'cleanup'],
        ['lifecycle', 'set', '/stateful', 'configure'],
    ],
}
Results = dict[tuple[str, int], subprocess.CompletedProcess[str]]


@pytest.fixture(scope='module')
def talker() -> Iterator[None]:
    with talking():
        yield


@pytest.fixture(scope='module')
def results(talker: None) -> Results:
    def run(name: str) -> list[subprocess.CompletedProcess[str]]:
        return [ros2(*arguments) for arguments in SEQUENCES[name]]

    with ThreadPoolExecutor(len(SEQUENCES)) as pool:
        ran = dict(zip(SEQUENCES, pool.map(run, SEQUENCES), strict=True))
    return {(name, i): result for name, many in ran.items() for i, result in enumerate(many)}


@pytest.mark.parametrize(
    ('key', 'code', 'out', 'err'),
    [
        (('values', 0), 0, 'Double value is: 0.5\n', ''),
        (('values', 1), 0, 'Set parameter successful\n', ''),
        (('values', 2), 0, '0.75\n', ''),
        (
            ('values', 3),
            1,
            '',
            "Setting parameter failed: Wrong parameter type, expected 'Type.DOU",
        ),
        (('values', 4), 1, '', 'Setting parameter failed: Parameter d0 out of range'),
        (('values', 5), 0, 'Set parameter successful\n', ''),
        (('other values', 0), 0, 'Set parameter successful\n', ''),
        (('other values', 1), 0, 'Integer value is: 4\n', ''),
        (('other values', 2), 0, 'Double values are: [1.0, 2.0]\n', ''),
        (('other values', 3), 1, '', "Parameter not set: '/talker' has no 'nope'"),
        (
            ('parameters', 0),
            0,
            '  count (type: integer)\n  d0 (type: double)\n  name.first (ty',
            '',
        ),
        (('parameters', 1), 0, '/stateful:\n', ''),
        (('parameters', 3), 1, '', "'/talker' has no parameter 'nope'"),
        (('parameters', 5), 1, '', "Node not found: '/nobody' did not appear within 0.5 s"),
        (('graph', 0), 0, '/stateful\n/talker\n', ''),
        (('graph', 1), 0, '2\n', ''),
        (('graph', 2), 0, '/chatter [std_msgs/msg/String]\n', ''),
        (
            ('graph', 3),
            0,
            'Type: nav_msgs/msg/Odometry\nPublisher count: 1\nSubscription count',
            '',
        ),
        (
            ('graph', 4),
            0,
            'Type: std_msgs/msg/String\n\nPublisher count: 1\n\nNode name: talker',
            '',
        ),
        (('messages', 0), 0, 'data: hello ', ''),
        (('messages', 1), 0, 'x: 0.0\ny: 0.0\nz: 0.0\nw: 1.0\n---\n', ''),
        (('messages', 2), 1, '', "invalid field 'pose.nope': PoseWithCovariance has no 'nope'"),
        (('messages', 3), 0, '{header: {stamp: {sec: 0, nanosec: 0}, frame_id: ', ''),
        (('messages', 4), 0, 'data: once\n---\n', ''),
        (('messages', 5), 1, '', "no message on '/silent' within 0.5 s"),
        (('messages', 6), 1, '', "the package 'std_msgs' has no msg type 'Strang'"),
        (
            ('services', 0),
            0,
            'requester: making request: std_srvs.srv.SetBool_Request(data=True)',
            '',
        ),
        (('services', 1), 1, '', "SetBool_Request has no field 'dato' (fields: data)"),
        (('services', 2), 1, '', "field 'data' (boolean)"),
        (('services', 3), 1, '', 'not installed; try: pip install ros-jazzy-no-srvs'),
        (('lifecycle', 0), 0, '/stateful\n', ''),
        (('lifecycle', 1), 0, 'unconfigured [1]\n', ''),
        (
            ('lifecycle', 2),
            1,
            '',
            'Unknown transition requested, available ones are:\n- configure [1]',
        ),
        (('lifecycle', 3), 0, 'Transitioning successful\n', ''),
        (('lifecycle', 4), 0, '/stateful: inactive [2]\n', ''),
        (('lifecycle', 5), 0, 'Transitioning successful\n', ''),
        (('lifecycle', 6), 1, '', 'Transitioning failed\n'),
    ],
)
def test_command(results: Results, key: tuple[str, int], code: int, out: str, err: str) -> None:
    result = results[key]
    assert (result.returncode, result.stdout[: len(out)]) == (code, out), result
    assert err in result.stderr


def test_description(results: Results) -> None:
    assert results['parameters', 2].stdout == (
        'Parameter name: d0\n  Type: double\n  Description: Limit\n  Constraints:\n'
        '    Min value: 0.0\n    Max value: 2.0\n'
        'Parameter name: name.first\n  Type: string\n  Constraints:\n    Read only: true\n'
    )


def test_dump_is_a_parameter_file(results: Results) -> None:
    tree = yaml.safe_load(results['parameters', 4].stdout)
    values = tree['/talker']['ros__parameters']
    assert values['name'] == {'first': 'x'}
    assert values['gains'] == [1.0, 2.0]


def test_services_and_response(results: Results) -> None:
    assert '/toggle [std_srvs/srv/SetBool]\n' in results['graph', 5].stdout
    answer = "response:\nstd_srvs.srv.SetBool_Response(success=True, message='done')\n"
    assert answer in results['services', 0].stdout


def test_hz(talker: None) -> None:
    process = start('topic', 'hz', '/odom')
    line = read_until(process, 'average rate')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert float(line.split('average rate: ')[1]) == pytest.approx(20.0, rel=0.3)


def test_a_closed_pipe_is_no_error(talker: None) -> None:
    command = f'{" ".join(COMMAND)} topic echo /chatter | head -n 1'
    result = subprocess.run(['bash', '-c', command], capture_output=True, text=True, timeout=30)
    assert result.stdout.startswith('data: hello')
    assert result.stderr == ''


def test_run_becomes_the_executable(tmp_path: Path) -> None:
    libexec = tmp_path / 'lib/demo'
    libexec.mkdir(parents=True)
    (libexec / 'show').write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    (libexec / 'show').chmod(0o755)
    prefixes = f'{tmp_path}:{os.environ.get("AMENT_PREFIX_PATH", "")}'
    result = ros2('run', 'demo', 'show', '--ros-args', '-p', 'a:=1', AMENT_PREFIX_PATH=prefixes)
    assert (result.returncode, result.stdout) == (7, '--ros-args -p a:=1\n')


@pytest.mark.parametrize(
    'arguments',
    [['launch', 'launch/drift_car.launch.yaml', '-s'], ['param', '--help'], ['bag', '--help']],
)
def test_what_needs_no_ros_imports_none(arguments: list[str]) -> None:
    code = (
        'import sys; from ros2_standalone.__main__ import run\n'
        'try: run(sys.argv[1:])\n'
        'except SystemExit: pass\n'
        'heavy = {"rclpy", "numpy", "rosbags", "mcap"} & set(sys.modules)\n'
        'sys.exit(f"imported: {heavy}" if heavy else 0)\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code, *arguments],
        cwd=TREE, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
