# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A study runs what is not finished, here or on Ray, and goes on after whatever ended it."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loop_ros.cli import runs
from loop_ros.cli.main import main
from loop_ros.cli.report.groups import group
from loop_ros.cli.study import cells, definition
from loop_ros.cli.study.cells import Cell

pytestmark = pytest.mark.xdist_group('study')  # they share what was run
STEPS = 3000  # saved after 2000
STUDY = f"""
title: Two beginnings
tasks: [drift_car]
algorithms: [sac]
seeds: 0
steps: {STEPS}
final_episodes: 1
set: {{off_policy.width: 8, off_policy.batch_size: 8, off_policy.updates_per_step: 0}}
settings:
  short: {{learning.random_steps: 40}}
  long: {{learning.random_steps: 80}}
"""


@pytest.fixture(scope='module')
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('study') / 'two.yaml'
    path.write_text(STUDY)
    return path


def folder(out: Path, settings: str) -> Path:
    return out / 'drift_car' / 'sac' / settings / 'seed_0'


def result(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / 'result.json').read_text()))


def steps(run: Path) -> list[int]:
    lines = (run / 'progress.csv').read_text().splitlines()
    return [int(line.split(',')[0]) for line in lines[1:]]


def driven(run: Path) -> list[dict[str, str]]:
    """What each training episode came to; without the times, which always differ."""
    names = ('step', 'return', 'cost', 'mean_speed', 'mean_slip')
    with (run / 'progress.csv').open() as file:
        return [{name: row[name] for name in names} for row in csv.DictReader(file)]


@pytest.fixture(scope='module')
def done(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which a run failed at first, and was run again."""
    out = tmp_path_factory.mktemp('done')
    obstacle = folder(out, 'long') / 'progress.csv'
    obstacle.mkdir(parents=True)  # where the table should be
    (folder(out, 'short') / 'checkpoint').mkdir(parents=True)  # its first save was cut off
    assert main(['study', str(file), '--out', str(out)]) == 2
    assert not (folder(out, 'long') / 'result.json').exists()
    written = (folder(out, 'short') / 'result.json').stat().st_mtime_ns
    obstacle.rmdir()
    assert main(['study', str(file), '--out', str(out)]) == 0
    assert (folder(out, 'short') / 'result.json').stat().st_mtime_ns == written, 'finished: kept'
    return out


@pytest.mark.slow
def test_a_failed_run_stops_no_other_and_is_made_up_for(done: Path) -> None:
    for settings in ('short', 'long'):
        assert steps(folder(done, settings)) == list(range(100, STEPS + 1, 100))
        assert len(result(folder(done, settings))['returns']) == 1
    groups, left_out = group(map(runs.read, runs.find([done])))
    labels = [found.label for found in groups['drift_car']]
    assert labels == ['sac (learning.random_steps=40)', 'sac (learning.random_steps=80)']
    assert not left_out


@pytest.mark.slow
def test_a_list_says_what_is_done(
    done: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['study', str(file), '--out', str(done), '--list']) == 0
    assert '2 of 2 runs done' in capsys.readouterr().out
    longer = tmp_path / 'longer.yaml'
    longer.write_text(STUDY.replace(f'steps: {STEPS}', f'steps: {2 * STEPS}'))
    assert main(['study', str(longer), '--out', str(done), '--list']) == 0
    text = capsys.readouterr().out
    assert '0 of 2 runs done' in text
    assert text.count('50%') == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (f'steps: {STEPS}', 'steps: 2000', f'holds another run, with {STEPS} steps'),
        ('random_steps: 40', 'random_steps: 50', 'learning.random_steps 40 (not 50)'),
        ('final_episodes: 1', 'final_episodes: 2', 'with --final-episodes 1'),
    ],
)
def test_the_results_of_another_study_are_not_taken(
    old: str, new: str, message: str, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / 'other.yaml'
    other.write_text(STUDY.replace(old, new))
    before = (folder(done, 'short') / 'result.json').read_bytes()
    assert main(['study', str(other), '--out', str(done)]) == 2
    assert message in capsys.readouterr().err
    assert (folder(done, 'short') / 'result.json').read_bytes() == before


def wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_after_ctrl_c_it_goes_on_where_it_was_left(file: Path, tmp_path: Path) -> None:
    run = folder(tmp_path, 'short')
    command = ['study', str(file), '--out', str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, '-m', 'loop_ros.cli.main', *command, '--jobs', '1'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait(lambda: (run / 'progress.csv').is_file() and len(steps(run)) > 2)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert process.returncode == 130
    assert '2 of 2 are not finished: the same command resumes' in output
    assert 'Traceback' not in output
    assert not folder(tmp_path, 'long').exists()
    first = (run / 'progress.csv').read_text().splitlines()
    assert 2 < len(first) < STEPS // 100, 'it was interrupted on its way'
    assert result(run)['steps'] < STEPS
    assert main(command) == 0
    assert (run / 'progress.csv').read_text().splitlines()[: len(first)] == first
    # The episode that was cut short has no row, the steps before it were learned.
    assert steps(run)[-1] >= STEPS
    assert result(run)['steps'] >= STEPS


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_on_ray_a_killed_worker_costs_nothing(file: Path, done: Path, tmp_path: Path) -> None:
    pytest.importorskip('ray', reason="needs Ray: pip install '.[ray]'")
    killed, other = folder(tmp_path, 'short'), folder(tmp_path, 'long')
    command = ['study', str(file), '--out', str(tmp_path), '--ray', 'local', '--jobs', '2']
    process = subprocess.Popen(
        [sys.executable, '-m', 'loop_ros.cli.main', *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait((killed / 'checkpoint' / 'agent.json').exists)  # 2000 steps
        before = (killed / 'progress.csv').read_text().splitlines()
        words = (killed / 'log.txt').read_text().split()
        os.kill(int(words[words.index('worker') + 1]), signal.SIGKILL)
        output = process.communicate(timeout=90)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert (killed / 'log.txt').read_text().count('worker') == 2, 'it was started again'
    assert (killed / 'progress.csv').read_text().splitlines()[:20] == before[:20], 'and resumed'
    assert steps(killed) == list(range(100, STEPS + 1, 100)), 'without a gap'
    assert (other / 'log.txt').read_text().count('worker') == 1
    assert driven(other) == driven(folder(done, 'long')), 'as without Ray'
    assert result(other)['returns'] == result(folder(done, 'long'))['returns']


def test_where_no_ray_answers_is_said_at_once(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('ray', reason="needs Ray: pip install '.[ray]'")
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))  # and does not listen
        address = f'127.0.0.1:{free.getsockname()[1]}'
        assert main(['study', str(file), '--out', str(tmp_path / 'out'), '--ray', address]) == 2
    assert f'--ray {address}: [Errno 111] Connection refused' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def load(tmp_path: Path, text: str) -> list[Cell]:
    path = tmp_path / 'study.yaml'
    path.write_text(text)
    return cells.cells(definition.load(path), Path('out'))


def test_each_combination_is_a_run_and_the_nearer_option_wins(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        tasks:
          drift_car:
          HalfCheetah: {steps: 200, evaluate_every: 50}
        algorithms: {loop_sac: , sac: {steps: 300, set: {planner.horizon: 5}}}
        seeds: [1, 4]
        steps: 100
        profile: mujoco
        gpus: 0.5
        set: {planner.horizon: 4, ensemble.width: 50}
        settings: {a: , b: {planner.horizon: 6}}
        """,
    )
    arguments = {str(cell.job.folder): ' '.join(cell.job.arguments) for cell in found}
    assert len(found) == len(arguments) == 2 * 2 * 2 * 2
    assert {cell.job.gpus for cell in found} == {0.5}
    assert arguments['out/drift_car/loop_sac/a/seed_4'] == (
        'experiment drift_car --algorithm loop_sac --steps 100 --seed 4 --profile mujoco '
        '--device cuda --resume --set planner.horizon=4 --set ensemble.width=50 '
        '--out out/drift_car/loop_sac/a/seed_4'
    )
    assert arguments['out/HalfCheetah/sac/b/seed_1'] == (
        'experiment HalfCheetah --algorithm sac --steps 300 --seed 1 --profile mujoco '
        '--evaluate-every 50 --device cuda --resume --set planner.horizon=6 '
        '--set ensemble.width=50 --out out/HalfCheetah/sac/b/seed_1'
    )
    assert '--steps 200 ' in arguments['out/HalfCheetah/loop_sac/b/seed_1']


def test_omnisafes_algorithms_take_no_settings_of_ours(tmp_path: Path) -> None:
    (own, theirs) = load(
        tmp_path,
        """
        tasks: [PointGoal1]
        algorithms: {safeloop: , cpo: {steps: 9000, set: {algo_cfgs.cost_limit: 25}}}
        seeds: 0
        steps: 100
        evaluate_every: 10
        set: {planner.horizon: 4}
        """,
    )
    assert '--evaluate-every 10 --resume --set planner.horizon=4' in ' '.join(own.job.arguments)
    assert ' '.join(theirs.job.arguments) == (
        'experiment PointGoal1 --algorithm cpo --steps 9000 --seed 0 '
        '--set algo_cfgs.cost_limit=25 --out out/PointGoal1/cpo/seed_0'
    )


def test_all_mistakes_are_listed_with_their_lines(tmp_path: Path) -> None:
    text = """tasks: [drift_car, drft_car]
algorithms:
  sac: {steps: 1.5}
  dreamer:
  lbpo:
seeds: 3..1
set: {planner.d0: -1}
settings:
  ../up: {planner.horizn: 3}
  polo: {learning.algorithm: polo}
gpu: 1
"""
    with pytest.raises(ValueError) as caught:
        load(tmp_path, text)
    lines = str(caught.value).splitlines()
    wrong = [line.removeprefix(f'{tmp_path}/study.yaml:') for line in lines]
    expected = [
        ('1', "unknown task 'drft_car'"),
        ('3', 'algorithms.sac.steps is 1.5, not a whole number from 1 on'),
        ('4', "unknown algorithm 'dreamer'"),
        ('5', 'lbpo: OmniSafe has none'),
        ('6', "seeds: '3..1': write 0..4 or 0,2,5"),
        ('7', 'set: planner.d0: -1.0 is outside'),
        ('9', 'settings.../up: it names a folder'),
        ('9', "settings.../up: unknown setting 'planner.horizn'"),
        ('10', 'drift_car sac polo: learning.algorithm polo has no actor'),
        ('11', 'gpu is unknown'),
    ]
    for line, message in expected:
        assert any(found.startswith(f'{line}: {message}') for found in wrong), (message, wrong)


@pytest.mark.parametrize('name', definition.shipped())
def test_the_papers_studies_are_sound(name: str) -> None:
    study = definition.load(definition.find(name))
    assert set(study.about) >= {'title', 'claim', 'figure', 'core_hours', 'so_far'}
    assert study.variants
