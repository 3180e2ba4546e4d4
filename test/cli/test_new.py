# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros new: what it writes installs and passes its own tests; what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml

from loop_ros.cli import new
from loop_ros.cli.main import main
from loop_ros.cli.robot_commands import ROBOTS
from loop_ros.settings import Settings
from loop_ros.sim import registry


def write(out: Path, robot: str, name: str) -> Path:
    assert main(['new', name, '--robot', robot, '--out', str(out)]) == 0
    return out / name


def test_the_choices_are_the_robots_there_are() -> None:
    assert tuple(new.ROBOTS) == ROBOTS


@pytest.mark.parametrize('robot', ROBOTS)
def test_task_and_robot_file_name_the_same_things(
    robot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f'some_{robot}'
    folder = write(tmp_path, robot, name)
    monkeypatch.syspath_prepend(str(folder))
    task = registry.task(f'{name}.task:TASK')
    assert task.name == name
    assert Settings.for_task(task).planner.d0 == task.default_d0
    found = yaml.safe_load((folder / 'config' / 'robot.yaml').read_text())
    assert registry.task(found['task']) is task
    assert set(found['command']['fields']) == set(task.action_labels)
    labels = [label.replace('*', '') for label in found['observation']]
    assert all(any(own.startswith(label) for own in task.observation_labels) for label in labels)
    assert all(any(own.startswith(label) for label in labels) for own in task.observation_labels)
    beams = found['observation'].get('beam_*', {'sectors': 0})['sectors']
    assert beams == sum(label.startswith('beam_') for label in task.observation_labels)
    limit = 1 / found['command'].get('rate', 1000)
    assert limit <= task.control_period


@pytest.mark.parametrize('robot', ROBOTS)
def test_the_package_says_what_it_needs(robot: str, tmp_path: Path) -> None:
    folder = write(tmp_path, robot, 'my_robot')
    package = ElementTree.parse(folder / 'package.xml')
    needs = {node.text for node in package.findall('exec_depend')}
    found = yaml.safe_load((folder / 'config' / 'robot.yaml').read_text())
    used = [*found['inputs'].values(), found['command'], found.get('takeover', found['command'])]
    assert {entry['type'].partition('/')[0] for entry in used} == needs
    assert package.find('export/build_type').text == 'ament_python'  # type: ignore[union-attr]
    launched = yaml.safe_load((folder / 'launch' / 'my_robot.launch.yaml').read_text())['launch']
    arguments = {each['arg']['name']: each['arg']['default'] for each in launched if 'arg' in each}
    assert arguments['task'] == 'my_robot'
    assert arguments['robot'].endswith('my_robot)/config/robot.yaml')


@pytest.mark.parametrize(
    'name', ['My_robot', 'my-robot', 'r', '2wd', 'my__robot', 'robot_', '../robot', 'roböt', '']
)
def test_what_is_no_name_of_a_ros_package_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['new', name, '--robot', 'other', '--out', str(tmp_path)]) == 2
    assert 'is no name of a ROS package' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['drift_car', 'loop_ros', 'import', 'types', 'test'])
def test_what_is_taken_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['new', name, '--robot', 'other', '--out', str(tmp_path)]) == 2
    assert f"'{name}' is " in capsys.readouterr().err


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, 'arm', 'my_robot')
    mine = folder / 'my_robot' / 'task.py'
    mine.write_text('# mine')
    assert main(['new', 'my_robot', '--robot', 'other', '--out', str(tmp_path)]) == 2
    assert 'exists: nothing is written over' in capsys.readouterr().err
    assert mine.read_text() == '# mine'


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    arguments: list[Any] = [str(part) for part in command]
    shown = {**os.environ, 'PIP_DISABLE_PIP_VERSION_CHECK': '1', **environment}
    return subprocess.run(
        arguments, cwd=cwd, env=shown, capture_output=True, text=True, timeout=100
    )


@pytest.mark.slow
def test_installed_they_pass_their_own_tests_and_are_found(tmp_path: Path) -> None:
    folders = {f'my_{robot}': write(tmp_path, robot, f'my_{robot}') for robot in ROBOTS}
    prefix = tmp_path / 'prefix'
    pip = ['-m', 'pip', 'install', '--no-build-isolation', '--no-deps', '--prefix', prefix]
    built = run(sys.executable, *pip, *folders.values(), cwd=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    (site,) = prefix.glob('lib/python*/site-packages')
    path = os.pathsep.join((str(site), os.environ['PYTHONPATH']))
    tests = tmp_path / 'elsewhere'  # what is installed is tested, not what lies here
    for name, folder in folders.items():
        for part in ('test', 'config'):
            shutil.copytree(folder / part, tests / f'of_{name}' / part)
    pytest_once = ['-P', '-m', 'pytest', '-q', '--import-mode=importlib']
    tested = run(sys.executable, *pytest_once, cwd=tests, PYTHONPATH=path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert f'{5 * len(folders)} passed' in tested.stdout
    listing = ['-P', '-m', 'loop_ros.cli.main', 'tasks', '--json']
    listed = {
        each['name']: each
        for each in yaml.safe_load(run(sys.executable, *listing, cwd=tests, PYTHONPATH=path).stdout)
    }
    for name in folders:
        assert Path(listed[name]['profile']).is_relative_to(site)
        share = prefix / 'share' / name
        for file in ('config/robot.yaml', 'config/profile.yaml', f'launch/{name}.launch.py'):
            assert (share / file).is_file()


@pytest.mark.slow
def test_its_tests_find_a_task_that_was_spoilt(tmp_path: Path) -> None:
    folder = write(tmp_path, 'other', 'my_robot')
    task = folder / 'my_robot' / 'task.py'
    task.write_text(task.read_text().replace('[..., 0].abs()', '[..., 0].log()'))
    tested = run(sys.executable, '-m', 'pytest', '-q', cwd=folder)
    assert tested.returncode == 1
    assert '1 failed' in tested.stdout


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('colcon'), reason='no colcon')
@pytest.mark.parametrize('link', [(), ('--symlink-install',)], ids=['copied', 'linked'])
def test_it_builds_with_colcon(link: tuple[str, ...], tmp_path: Path) -> None:
    write(tmp_path / 'src', 'diff_drive', 'my_robot')
    built = run('colcon', 'build', *link, cwd=tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    script = '. install/setup.sh && python -P -m loop_ros.cli.main tasks --json'
    listed = run('sh', '-c', script, cwd=tmp_path)
    (row,) = [each for each in yaml.safe_load(listed.stdout) if each['name'] == 'my_robot']
    assert Path(row['profile']).is_file()
    assert row['origin'].startswith('my')
