# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Baselines by OmniSafe: tasks as it sees them, results as ours, what is said without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loop_ros.cli import omnisafe, runs
from loop_ros.cli.experiment import EVALUATION_SEED
from loop_ros.cli.main import main
from loop_ros.cli.omnisafe_child import TaskEnvironment
from loop_ros.sim import registry

OUTSIDE = torch.tensor([99.0, -99.0])  # as a Gaussian policy may ask for


def has_omnisafe() -> bool:
    try:
        command = [str(omnisafe.python()), '-c', 'import importlib.util as u; '
                   'raise SystemExit(u.find_spec("omnisafe") is None)']  # fmt: skip
    except ValueError:
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


needs_omnisafe = pytest.mark.skipif(not has_omnisafe(), reason='no OmniSafe: make omnisafe')


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    monkeypatch.setattr(TaskEnvironment, 'report', rows.append, raising=False)
    monkeypatch.setattr(TaskEnvironment, 'seeds', repeat(None))
    return rows


def training(out: Path, algorithm: str = 'ppo_lagrangian', **options: Any) -> omnisafe.Training:
    given = {'task_name': 'drift_car', 'steps': 200, 'seed': 4, 'overrides': {}, **options}
    return omnisafe.Training(algorithm=algorithm, out=out, **given)


@pytest.mark.parametrize(
    ('steps', 'episode', 'epochs', 'epoch_steps'),
    [
        (200_000, 200, 50, 4000),  # 20 episodes an epoch
        (8000, 200, 2, 4000),
        (4100, 200, 2, 2200),  # 21 episodes: two epochs of 11
        (300, 200, 1, 400),
        (1, 1000, 1, 1000),
    ],
)
def test_epochs_are_whole_episodes(steps: int, episode: int, epochs: int, epoch_steps: int) -> None:
    assert omnisafe.schedule(steps, episode) == (epochs, epoch_steps)


def test_an_episode_is_that_of_the_task(reported: list[dict[str, float]]) -> None:
    task, env = registry.task('drift_car'), TaskEnvironment('drift_car')
    bare = registry.make('drift_car')
    env.set_seed(7)
    state, _ = env.reset()
    observation, _ = bare.reset(seed=7)
    assert state.dtype == torch.float32
    torch.testing.assert_close(state, task.encode(torch.as_tensor(observation)).float())
    command = np.array([task.action_high[0], task.action_low[1]])  # OUTSIDE, limited
    rewards, costs, speeds, ended = [], [], [], False
    while not ended:
        state, reward, cost, terminated, truncated, _ = env.step(OUTSIDE)
        observation, bare_reward, bare_terminated, bare_truncated, info = bare.step(command)
        ended = bare_terminated or bare_truncated
        assert (bool(terminated), bool(truncated)) == (bare_terminated, bare_truncated)
        assert (float(reward), float(cost)) == pytest.approx((bare_reward, info['cost']))
        rewards.append(bare_reward)
        costs.append(info['cost'])
        speeds.append(task.metrics(observation)['speed'])
    torch.testing.assert_close(state, task.encode(torch.as_tensor(observation)).float())
    (row,) = reported
    assert row['steps'] == len(rewards) == task.max_episode_steps
    assert row['return'] == pytest.approx(sum(rewards))
    assert row['cost'] == row['planner_cost'] == sum(costs) > 0
    assert row['mean_speed'] == pytest.approx(np.mean(speeds))


def test_an_episode_cut_off_by_a_reset_is_not_reported(reported: list[dict[str, float]]) -> None:
    env = TaskEnvironment('drift_car')
    env.reset(seed=1)
    env.step(OUTSIDE)
    env.reset()
    ended = False
    while not ended:
        ended = bool(env.step(OUTSIDE)[4])
    assert [row['steps'] for row in reported] == [100]


def test_the_evaluation_starts_where_ours_does(
    reported: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: Iterator[int] = count(EVALUATION_SEED)
    monkeypatch.setattr(TaskEnvironment, 'seeds', seeds)
    task, env, bare = registry.task('drift_car'), TaskEnvironment('drift_car'), None
    for episode in range(2):
        bare = registry.make('drift_car')
        start, _ = bare.reset(seed=EVALUATION_SEED + episode)
        torch.testing.assert_close(env.reset()[0], task.encode(torch.as_tensor(start)).float())


def test_settings_are_those_of_omnisafe(tmp_path: Path) -> None:
    ppo = training(tmp_path, task_name='PointGoal1').job()
    assert ppo['algorithm'] == 'PPOLag'
    assert ppo['settings']['seed'] == 4
    assert ppo['settings']['lagrange_cfgs'] == {'cost_limit': 10.0}
    assert ppo['settings']['train_cfgs']['total_steps'] == 200
    given = {'algo_cfgs.cost_limit': 25, 'model_cfgs.actor.lr': 0.1}
    cpo = training(tmp_path, 'cpo', device='cuda', overrides=given).job()
    assert cpo['settings']['algo_cfgs'] == {'cost_limit': 25, 'steps_per_epoch': 200}
    assert cpo['settings']['model_cfgs'] == {'actor': {'lr': 0.1}}
    assert cpo['settings']['train_cfgs']['device'] == 'cuda:0'
    assert cpo['evaluation_episodes'] == 20
    assert training(tmp_path, final_episodes=3).job()['evaluation_episodes'] == 3


# What a training of 2 + 1 episodes and an evaluation of 2 sent, shortened.
RECORDED = """
{"phase": "training", "row": {"steps": 100, "return": -340.07, "cost": 91.0, "mean_speed": 2.53}}
{"phase": "training", "row": {"steps": 100, "return": -354.69, "cost": 90.0, "mean_speed": 1.89}}
{"phase": "training", "row": {"steps": 60, "return": -297.1, "cost": 55.0, "mean_speed": 2.16}}
{"phase": "evaluation", "row": {"steps": 100, "return": -200.0, "cost": 80.0, "mean_speed": 2.0}}
{"phase": "evaluation", "row": {"steps": 100, "return": -100.0, "cost": 95.0, "mean_speed": 4.0}}
{"phase": "end", "settings": {"algo_cfgs": {"gamma": 0.99}, "train_cfgs": {"epochs": 1}}, "folder":
"""


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the other Python, which says what a training said."""
    log = tmp_path / 'out' / 'omnisafe' / 'PPOLag-{drift_car}' / 'seed-004'
    lines = RECORDED.strip() + json.dumps(str(log)) + '}\n'
    (tmp_path / 'lines').write_text(lines)
    script = f'mkdir -p "{log}"; echo Train/Epoch > "{log}/progress.csv"; cat "{tmp_path}/lines"'
    path = tmp_path / 'python'
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv(omnisafe.PYTHON_VARIABLE, str(path))
    return tmp_path


def test_results_are_written_as_those_of_our_algorithms(recording: Path) -> None:
    out = recording / 'out'
    words = ['experiment', 'drift_car', '--algorithm', 'ppo_lagrangian', '--steps', '260']
    words += ['--seed', '4', '--set', 'algo_cfgs.gamma=0.99', '--out', str(out)]
    assert main(words) == 0
    run = runs.read(out)
    assert [row['step'] for row in run.rows] == [100, 200, 260]
    assert [row['episode'] for row in run.rows] == [0, 1, 2]
    assert [row['return'] for row in run.rows] == [-340.07, -354.69, -297.1]
    result = run.result
    assert (result['task'], result['algorithm']) == ('drift_car', 'ppo_lagrangian')
    assert (result['seed'], result['steps'], result['episodes']) == (4, 260, 2)
    assert (result['mean_return'], result['std_return'], result['min_return']) == (-150, 50, -200)
    assert (result['mean_cost'], result['max_cost'], result['mean_speed']) == (87.5, 95, 3)
    assert (result['returns'], result['costs']) == ([-200, -100], [80, 95])
    assert result['training_cost'] == 236
    assert result['settings'] == {'algo_cfgs': {'gamma': 0.99}}
    assert result['command'] == 'loop-ros ' + ' '.join(words)
    # Nothing there that a search for experiments would take for one.
    assert runs.find([recording]) == [out]
    assert (out / 'omnisafe' / 'epochs.csv').is_file()


def test_an_interrupt_before_the_first_episode_leaves_the_evaluation(recording: Path) -> None:
    lines = (recording / 'lines').read_text().splitlines(keepends=True)
    (recording / 'lines').write_text(''.join(line for line in lines if 'training' not in line))
    training(recording / 'out').run()
    result = json.loads((recording / 'out' / 'result.json').read_text())
    assert (result['steps'], result['training_cost'], result['mean_return']) == (0, 0, -150)


def test_a_process_that_dies_is_reported_with_its_last_words(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recording / 'python').write_text('#!/bin/sh\necho "KeyError: no such key" >&2\nexit 1\n')
    words = ['experiment', 'drift_car', '--algorithm', 'cpo', '--out', str(recording / 'out')]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert 'KeyError: no such key' in error
    assert str(recording / 'out' / 'omnisafe' / 'log.txt') in error
    assert not (recording / 'out' / 'result.json').exists()


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['cpo'], 'make omnisafe'),
        (['lbpo'], 'https://github.com/hari-sikchi/LBPO'),
        (['cpo', '--resume'], '--resume'),
        (['cpo', '--profile', 'paper'], '--profile'),
        (['ppo_lagrangian', '--evaluate-every', '100'], '--evaluate-every'),
    ],
)
def test_what_cannot_run_says_why(
    words: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(omnisafe.PYTHON_VARIABLE, str(tmp_path / 'no' / 'python'))
    out = tmp_path / 'out'
    assert main(['experiment', 'drift_car', '--out', str(out), '--algorithm', *words]) == 2
    assert expected in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_a_python_without_omnisafe_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(omnisafe.PYTHON_VARIABLE, sys.executable)
    if has_omnisafe():
        pytest.skip('OmniSafe is installed here')
    with pytest.raises(ValueError, match="No module named 'omnisafe'.*make omnisafe"):
        training(tmp_path / 'out').run()


@needs_omnisafe
@pytest.mark.parametrize('algorithm', ['ppo_lagrangian', 'cpo'])
def test_omnisafe_learns_on_our_tasks(algorithm: str, tmp_path: Path) -> None:
    training(tmp_path, algorithm, overrides={'algo_cfgs.update_iters': 2}).run()
    run = runs.read(tmp_path)
    assert [row['step'] for row in run.rows] == [100, 200]
    assert run.result['episodes'] == len(run.result['returns']) == 20
    assert run.result['mean_return'] == pytest.approx(np.mean(run.result['returns']))
    assert run.result['settings']['algo_cfgs']['update_iters'] == 2
    saved = {path.name for path in (tmp_path / 'omnisafe' / 'torch_save').iterdir()}
    assert saved == {'epoch-0.pt', 'epoch-1.pt'}


@needs_omnisafe
def test_an_interrupt_ends_the_training_not_the_results(tmp_path: Path) -> None:
    words = ['experiment', 'drift_car', '--algorithm', 'cpo', '--steps', '1000000']
    command = [sys.executable, '-m', 'loop_ros.cli.main', *words, '--out', str(tmp_path)]
    process = subprocess.Popen(command, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    try:
        while process.poll() is None and not (tmp_path / 'progress.csv').is_file():
            time.sleep(0.1)
        while process.poll() is None and not (tmp_path / 'progress.csv').stat().st_size:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=90) == 0
    finally:
        process.kill()
    result = runs.read(tmp_path).result
    assert result['episodes'] == 20
    assert 0 < result['steps'] < 1_000_000
