# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The task of docs/task.md through the commands, as a user has it: a file in the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from packages import documented_task, install, task_source

from loop_ros.agent import Agent
from loop_ros.cli import experiment as experiment_module
from loop_ros.cli.arguments import import_from_current_folder
from loop_ros.cli.main import main
from loop_ros.sim import registry

PNG = b'\x89PNG\r\n\x1a\n'
NAME = 'diff_drive:TASK'
TINY = [f'--set={name}={value}' for name, value in tiny.OVERRIDES.items()]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold diff_drive.py and a robot like it without a simulation."""
    folder = tmp_path_factory.mktemp('robot')
    (folder / 'diff_drive.py').write_text(documented_task())
    bare = 'import dataclasses, diff_drive\nTASK = dataclasses.replace(diff_drive.TASK, {})'
    (folder / 'bare_drive.py').write_text(bare.format('environment=None'))
    (folder / 'home_drive.py').write_text(bare.format("odometry=False, name='home_drive'"))
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Start where the files are."""
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def trained(inside: Path) -> Path:
    """The folder of a tiny experiment, made by the first test that asks for it."""
    out = inside / 'run'
    if not out.exists():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(experiment_module, 'EVALUATION_STEPS', 200)
            assert main(['experiment', NAME, '--steps', '200', '--out', str(out), *TINY]) == 0
    return out


@pytest.mark.slow
def test_an_experiment_has_its_pictures_and_the_tasks_own_name_and_threshold(trained: Path) -> None:
    result = json.loads((trained / 'result.json').read_text())
    assert result['task'] == 'diff_drive'
    assert result['command'].startswith('loop-ros experiment diff_drive:TASK ')
    assert result['settings']['planner']['d0'] == 0.0
    assert {'mean_distance', 'mean_speed'} <= set(result)
    assert (trained / 'line.png').read_bytes().startswith(PNG)


@pytest.mark.slow
def test_evaluate_sweep_calibrate_and_report_take_it(trained: Path) -> None:
    common = [NAME, '--checkpoint', str(trained / 'checkpoint'), '--episodes', '1']
    assert main(['evaluate', *common]) == 0
    out = trained.parent
    assert main(['sweep', *common, '--d0', '0', '1', '--out', str(out / 'sweep')]) == 0
    assert (out / 'sweep' / 'sweep.png').read_bytes().startswith(PNG)
    disturbed = ['--disturb', 'none', 'delay=1', '--d0', '1']
    assert main(['calibrate', *common, *disturbed, '--out', str(out / 'calibration')]) == 0
    assert main(['report', str(trained), '--out', str(out / 'report.html')]) == 0
    assert 'diff_drive' in (out / 'report.html').read_text()


@pytest.mark.slow
def test_bags_are_made_learned_from_and_replayed(trained: Path) -> None:
    bag, out = str(trained.parent / 'bag'), str(trained.parent / 'offline')
    source = ['--kind', 'medium-replay', '--from', str(trained), '--steps', '150']
    assert main(['dataset', NAME, '--kind', 'random', '--steps', '150', '--out', bag]) == 0
    assert main(['dataset', NAME, *source, '--out', f'{bag}2']) == 2, 'its task has no way back'
    learn = ['--bags', bag, '--updates', '5', '--no-evaluation', '--out', out]
    assert main(['train-offline', '--task', NAME, *learn, *TINY]) == 0
    page = str(trained.parent / 'replay.html')
    again = [bag, '--checkpoint', out, '--task', NAME, '--steps', '20', '--out', page]
    assert main(['replay', *again]) == 0


@pytest.mark.slow
def test_a_checkpoint_whose_task_is_not_found_says_how_to_name_it(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = ['--checkpoint', str(trained / 'checkpoint'), '--out', str(trained / 'page.html')]
    assert main(['replay', 'bag', *again]) == 2
    error = capsys.readouterr().err
    assert "unknown task 'diff_drive'" in error
    assert 'package.module:TASK' in error


@pytest.mark.slow
def test_seeds_and_the_installed_command_find_it_in_the_folder(folder: Path) -> None:
    """`loop-ros` is a script elsewhere: it has not the folder on its path by itself."""
    code = 'import sys; from loop_ros.cli.main import main; sys.exit(main(sys.argv[1:]))'
    command = [sys.executable, '-P', '-c', code, 'experiment', NAME, '--steps', '100']
    command += ['--seeds', '0,1', '--out', 'seeds', '--algorithm', 'sac', *TINY]
    subprocess.run(command, cwd=folder, check=True, timeout=100, env=os.environ)
    for seed in (0, 1):
        result = json.loads((folder / 'seeds' / f'seed_{seed}' / 'result.json').read_text())
        assert (result['task'], result['seed'], result['steps']) == ('diff_drive', seed, 100)


@pytest.mark.parametrize('command', ['experiment', 'evaluate', 'dataset', 'sweep', 'calibrate'])
def test_without_a_simulation_the_commands_say_so(
    command: str, inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = tmp_path / 'agent'
    import_from_current_folder(NAME)
    Agent(registry.task(NAME), tiny.settings()).save(agent)
    out = ['--out', str(tmp_path / 'out')]
    arguments = {
        'experiment': out,
        'evaluate': ['--checkpoint', str(agent)],
        'dataset': ['--kind', 'random', *out],
        'sweep': ['--checkpoint', str(agent), *out],
        'calibrate': ['--checkpoint', str(agent), *out],
    }
    assert main([command, 'bare_drive:TASK', *arguments[command]]) == 2
    assert "task 'diff_drive' has no simulation" in capsys.readouterr().err


@pytest.mark.slow
def test_a_profile_given_by_hand_keeps_the_tasks_threshold(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every command that reads one: the default of the settings, 0.2, is not the task's."""
    profile = tmp_path / 'own.yaml'
    learned = json.loads((trained / 'result.json').read_text())['settings']
    del learned['planner']['d0']
    profile.write_text(json.dumps(learned))
    common = ['--checkpoint', str(trained / 'checkpoint'), '--profile', str(profile)]
    assert main(['evaluate', NAME, *common, '--episodes', '1', '--json']) == 0
    assert json.loads(capsys.readouterr().out)['d0'] == 0.0
    bag, out = str(tmp_path / 'bag'), str(tmp_path / 'offline')
    random = ['--kind', 'random', '--steps', '120', '--profile', str(profile)]
    assert main(['dataset', NAME, *random, '--out', bag]) == 0
    learn = ['--bags', bag, '--updates', '2', '--no-evaluation', '--out', out]
    assert main(['train-offline', '--task', NAME, '--profile', str(profile), *learn]) == 0
    result = json.loads((tmp_path / 'offline' / 'offline.json').read_text())
    assert result['settings']['planner']['d0'] == 0.0
    page = ['--task', NAME, '--steps', '5', '--out', str(tmp_path / 'page.html'), '--json']
    capsys.readouterr()
    assert main(['replay', bag, *common, *page]) == 0
    assert json.loads(capsys.readouterr().out)['d0'] == 0.0


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    assert main(['tasks', '--json']) == 0
    return {row['name']: row for row in json.loads(capsys.readouterr().out)}


def test_tasks_are_listed_with_those_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(
        tmp_path, 'a_kart', task_source('kart', profile="'mujoco'"), {'kart': 'a_kart.task:TASK'}
    )
    install(tmp_path, 'no_kart', 'import no_driver', {'go_kart': 'no_kart.task:TASK'})
    monkeypatch.syspath_prepend(str(tmp_path))
    found = rows(capsys)
    assert found['kart'] == {
        'name': 'kart', 'origin': 'a_kart 1.2 (a_kart.task:TASK)', 'observations': 2, 'actions': 1,
        'Hz': 10.0, 'cost': 'learned', 'simulation': False, 'profile': 'mujoco',
    }  # fmt: skip
    assert found['drift_car']['cost'] == 'known'
    assert 'no_driver' in str(found['go_kart']['error'])
    assert main(['tasks']) == 0
    shown = capsys.readouterr()
    assert {'kart', 'go_kart', 'drift_car'} <= set(shown.out.split())
    assert 'no_driver' in shown.err
