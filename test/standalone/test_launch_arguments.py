# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch` before anything starts: which file, its arguments, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from source_tree import TREE
from standalone_cli import make_prefix

from ros2_standalone.__main__ import run
from ros2_standalone.errors import LaunchFileError, Ros2Error


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_prefix(tmp_path, monkeypatch)


@pytest.fixture
def demo(prefix: Path) -> Path:
    path = prefix / 'share/demo/launch/demo.launch.yaml'
    path.write_text(
        """
launch:
- arg: {name: d0, default: '0.2', description: Cost threshold}
- arg: {name: mode, default: $(env MODE a), choice: [{value: a}, {value: b}]}
- arg: {name: place, description: Where., choice: [{value: here}]}
- group:
    if: 'false'
    children:
    - arg: {name: hidden, default: 'x$(var d0)'}
"""
    )
    path.with_suffix('.py').write_text('raise RuntimeError("the standalone ros2 runs no Python")\n')
    return path


def test_show_arguments(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(['launch', 'demo', 'demo.launch.py', '-s']) == 0
    shown = capsys.readouterr().out
    assert shown == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'd0':\n        Cost threshold\n        (default: '0.2')\n"
        "\n    'mode':\n        One of: ['a', 'b']\n        (default: EnvVar('MODE'))\n"
        "\n    'place':\n        Where. Valid choices are: ['here']\n"
        "\n    'hidden':*\n        no description given\n"
        "        (default: 'x' + LaunchConfig('d0'))\n"
        '\n* argument(s) which are only used if specific conditions occur\n'
    )
    assert run(['launch', str(demo), '--show-args']) == 0
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['demo', 'demo.launch.yaml', 'd_0:=1'], "launch argument 'd_0'; did you mean 'd0'?"),
        (['demo', 'demo.launch.yaml', 'zzz:=1'], "argument 'zzz' (declared: d0, mode, place, hidd"),
        (['demo', 'demo.launch.yaml', 'd0=1'], "malformed launch argument 'd0=1'"),
        (['demo', 'demo.launch.yaml', 'd0:='], "malformed launch argument 'd0:='"),
        (['demo', 'demo.launch.yaml', 'place:=x'], "'place' is 'x', which is none of its choices"),
        (['demo', 'demo.launch.yaml'], "required launch argument 'place' was not given"),
        (['demo', 'nope.launch.py'], "file 'nope.launch.py' was not found in the share directory"),
        (['nope', 'x.launch.py'], "package 'nope' not found"),
        (['nope.launch.yaml'], "'nope.launch.yaml' is no launch file"),
    ],
)
def test_command_line_mistakes(
    demo: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(['launch', *arguments]) == 1
    assert message in capsys.readouterr().err


def test_python_launch_file_without_yaml(prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prefix / 'share/demo/launch/only.launch.py'
    path.touch()
    assert run(['launch', 'demo', 'only.launch.py']) == 1
    assert "there is no 'only.launch.yaml' beside it" in capsys.readouterr().err


def test_a_name_found_twice(demo: Path, prefix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (prefix / 'share/demo/demo.launch.yaml').touch()
    assert run(['launch', 'demo', 'demo.launch.yaml', '-s']) == 1
    assert 'was found more than once' in capsys.readouterr().err


def test_the_shipped_launch_files_are_in_the_subset() -> None:
    from ros2_standalone.launch import declared_arguments

    files = sorted((TREE / 'launch').glob('*.launch.yaml'))
    assert files
    for file in files:
        known = {'view.launch.yaml': 'config', 'fleet_robot.launch.yaml': None}.get(file.name, 'd0')
        arguments = declared_arguments(file)
        assert known is None or known in arguments
        included = file.name in ('stack.launch.yaml', 'fleet_robot.launch.yaml')  # by the others
        assert file.with_suffix('.py').is_file() is not included


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(['--help']) == 0
    assert 'standalone subset' in capsys.readouterr().out
    assert run(['doctor']) == 2
    assert "unknown command 'doctor'" in capsys.readouterr().err
    assert run(['run', 'nope', 'nope']) == 1
    assert issubclass(LaunchFileError, Ros2Error)
