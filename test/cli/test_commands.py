# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros from the outside: files written, last lines, exit codes, one clear line on errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from interrupted import interrupted

from loop_ros.agent import Agent
from loop_ros.cli import experiment as experiment_module
from loop_ros.cli.algorithms import ALGORITHMS
from loop_ros.cli.main import main
from loop_ros.profiles import profile_names
from loop_ros.settings import Settings

PNG = b'\x89PNG\r\n\x1a\n'
TINY = [f'--set={name}={value}' for name, value in tiny.OVERRIDES.items()]


def figures(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / 'result.json').read_text()))


def experiment(out: Path, *arguments: str, steps: int = 200) -> int:
    return main(['experiment', 'drift_car', '--steps', str(steps), '--out', str(out), *arguments])


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny experiment: 200 steps, then an evaluation of 2 episodes."""
    out = tmp_path_factory.mktemp('experiment') / 'deep' / 'out'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_module, 'EVALUATION_STEPS', 200)
        assert experiment(out, '--seed', '3', *TINY) == 0
    return out


@pytest.mark.slow
def test_experiment_writes_its_results(trained: Path) -> None:
    with (trained / 'progress.csv').open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert [row['step'] for row in rows] == [100, 200]
    assert [row['episode'] for row in rows] == [0, 1]
    assert {'return', 'cost', 'mean_speed', 'mean_slip', 'model_error'} <= set(rows[0])
    assert rows[1]['model_error'] > 0
    result = figures(trained)
    assert result['algorithm'] == 'safeloop'
    assert (result['seed'], result['steps'], result['episodes']) == (3, 200, 2)
    assert result['training_cost'] == sum(row['cost'] for row in rows)
    assert set(result['spent_s']) == {'planning', 'updates', 'model'}
    assert 0 < sum(result['spent_s'].values()) <= result['wall_s'] + 0.2  # of rounding
    assert result['settings']['planner']['num_samples'] == tiny.OVERRIDES['planner.num_samples']
    for picture in ('curve.png', 'line.png'):
        assert (trained / picture).read_bytes().startswith(PNG)
        assert (trained / picture).stat().st_size > 5000


@pytest.mark.slow
def test_several_copies_of_the_environment_fill_one_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_module, 'EVALUATION_STEPS', 100)
    assert experiment(tmp_path, '--envs', '2', *TINY) == 0
    with (tmp_path / 'progress.csv').open() as file:
        rows = [(row['step'], row['episode'], row['steps']) for row in csv.DictReader(file)]
    assert rows == [('200', '0', '100'), ('200', '1', '100')]
    assert '--envs 2' in figures(tmp_path)['command']


@pytest.mark.slow
def test_the_experiments_checkpoint_can_go_on_learning(trained: Path) -> None:
    agent = Agent.load(trained / 'checkpoint', tiny.TASK)
    assert agent.ready
    assert agent.num_steps == len(agent.learner.buffer) == 200


def evaluate(
    capsys: pytest.CaptureFixture[str], checkpoint: Path, *arguments: str
) -> dict[str, Any]:
    common = ['--checkpoint', str(checkpoint), '--episodes', '2', '--json']
    capsys.readouterr()
    assert main(['evaluate', 'drift_car', *common, *arguments]) == 0
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.slow
def test_evaluate_ends_with_one_json_object(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = evaluate(capsys, trained / 'checkpoint', '--seed', '5')
    names = {'mean_return', 'std_return', 'mean_cost', 'episodes', 'plan_hz', 'task', 'd0'}
    assert names <= set(result)
    assert (result['task'], result['episodes'], result['d0']) == ('drift_car', 2, 0.2)
    assert result['plan_hz'] > 1
    again = evaluate(capsys, trained / 'checkpoint', '--seed', '5')
    other = evaluate(capsys, trained / 'checkpoint', '--seed', '6')
    assert again['mean_return'] == result['mean_return'] != other['mean_return']


@pytest.mark.slow
def test_evaluate_writes_what_it_says(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'deep' / 'result.json'
    for seed in ('5', '6'):  # the second time over what was there
        said = evaluate(capsys, trained / 'checkpoint', '--seed', seed, '--out', str(out))
        assert json.loads(out.read_text()) == said
    assert [file.name for file in out.parent.iterdir()] == ['result.json']
    folder = ['--checkpoint', str(trained / 'checkpoint'), '--out', str(tmp_path)]
    assert main(['evaluate', 'drift_car', *folder]) == 2
    assert f'--out {tmp_path}: is a folder' in capsys.readouterr().err


def test_evaluate_takes_settings_and_another_algorithm(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ('--set', 'planner.d0=0.5', '--algorithm', 'pets')
    result = evaluate(capsys, trained / 'checkpoint', *arguments)
    assert (result['d0'], result['algorithm']) == (0.5, 'cem')


@pytest.mark.slow
def test_the_experiments_evaluation_can_be_repeated(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The actor alone draws nothing at random: the same episodes give the same return."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_module, 'EVALUATION_STEPS', 200)
        out = trained.parent / 'actor'
        assert experiment(out, '--algorithm', 'sac', *TINY) == 0
    seed = str(experiment_module.EVALUATION_SEED)
    result = evaluate(capsys, out / 'checkpoint', '--seed', seed)
    assert result['mean_return'] == pytest.approx(figures(out)['mean_return'])
    assert result['algorithm'] == 'actor'


@pytest.mark.slow
def test_sweep_and_compare_write_table_and_picture(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ['--checkpoint', str(trained / 'checkpoint'), '--episodes', '1']
    out = tmp_path / 'sweep'
    assert main(['sweep', 'drift_car', *common, '--d0', '0', '2.5', '--out', str(out)]) == 0
    rows = json.loads((out / 'sweep.json').read_text())
    assert [row['d0'] for row in rows] == [0.0, 2.5]
    assert (out / 'sweep.png').read_bytes().startswith(PNG)
    out = tmp_path / 'comparison'
    assert main(['compare', str(trained), str(trained), '--out', str(out)]) == 0
    (row,) = json.loads((out / 'comparison.json').read_text())
    assert (row['algorithm'], row['seeds']) == ('safeloop', 2)
    assert row['return'] == pytest.approx(figures(trained)['mean_return'])
    assert (out / 'comparison.png').read_bytes().startswith(PNG)


@pytest.mark.parametrize('profile', profile_names())
@pytest.mark.parametrize('algorithm', sorted(ALGORITHMS))
def test_every_algorithm_is_made_of_valid_settings(algorithm: str, profile: str) -> None:
    settings = Settings.load(profile).replace(ALGORITHMS[algorithm])
    safe = settings.planner.algorithm.startswith('safe_')
    assert safe is algorithm.startswith('safe')
    if 'pets' in algorithm:
        assert settings.planner.terminal_value == 'none'
        assert settings.planner.actor_fraction == settings.off_policy.updates_per_step == 0
    if algorithm in ('sac', 'sac_ve', 'loop_sarsa', 'loop_crr', 'polo'):
        assert settings.model_rollouts.fraction == 0  # the baseline, whatever the profile has


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['experiment', 'drft_car', '--out', 'OUT'], "unknown task 'drft_car'; choose one of"),
        (['evaluate', 'drft_car', '--checkpoint', 'none'], "unknown task 'drft_car'"),
        (['experiment', 'drift_car', '--out', 'OUT', '--set', 'd0=1'], '--set d0=1: write'),
        (['experiment', 'drift_car', '--out', 'OUT', '--set', 'planner.d0'], '--set planner.d0'),
        (['experiment', 'drift_car', '--out', 'OUT', '--set', 'planner.d0=-1'],
         'planner.d0: -1.0 is outside'),
        (['experiment', 'drift_car', '--out', 'OUT', '--set', 'planner.d=1'],
         "unknown setting 'planner.d'"),
        (['experiment', 'drift_car', '--out', 'OUT', '--set', 'planner.d0={'], 'planner.d0'),
        (['experiment', 'drift_car', '--out', 'OUT', '--profile', 'best'],
         "unknown profile 'best'; use"),
        (['experiment', 'drift_car', '--out', 'OUT', '--device', 'gpu'], 'gpu'),
        (['experiment', 'drift_car', '--out', 'OUT', '--device', 'cuda:99'], 'cuda:99'),
        (['experiment', 'drift_car', '--out', '/dev/null/x'], '/dev/null/x'),
        (['evaluate', 'drift_car', '--checkpoint', '/nowhere'],
         "checkpoint '/nowhere': no agent.json there; use shipped, none, or"),
        (['evaluate', 'drift_car', '--checkpoint', 'none'], 'name a checkpoint'),
        (['compare', '/nowhere', '--out', 'OUT'],
         '/nowhere: not the folder of a finished experiment'),
    ],
)  # fmt: skip
def test_errors_are_one_clear_line_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    assert main([str(out) if argument == 'OUT' else argument for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith('loop-ros: ')
    assert message in error
    assert error.count('\n') == 1
    assert not out.exists(), 'nothing is written before all is known to be well'


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['train'],
        ['experiment', 'drift_car'],
        ['experiment', 'drift_car', '--out', 'x', '--steps', '0'],
        ['experiment', 'drift_car', '--out', 'x', '--steps', 'many'],
        ['experiment', 'drift_car', '--out', 'x', '--algorithm', 'ppo'],
        ['evaluate', 'drift_car', '--episodes', '-1'],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert 'usage: loop-ros' in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_ends_the_training_and_keeps_the_results(tmp_path: Path) -> None:
    """In a process of its own: SIGINT after the first rows, results and exit code 0."""
    out = tmp_path / 'out'
    code = (
        'import sys; from loop_ros.cli import experiment, main; '
        'experiment.EVALUATION_STEPS = 100; sys.exit(main.main(sys.argv[1:]))'
    )
    command = ['experiment', 'drift_car', '--steps', '1000000', '--out', str(out), *TINY]
    progress = out / 'progress.csv'
    interrupted(
        ['-c', code, *command],
        lambda: progress.is_file() and progress.read_text().count('\n') > 2,
        timeout=60,
    )
    assert Agent.load(out / 'checkpoint', tiny.TASK).num_steps == figures(out)['steps']
    assert (out / 'curve.png').is_file()


@pytest.mark.slow
def test_a_run_is_resumed_where_it_was_left(tmp_path: Path) -> None:
    """200 steps, then 200 more: one table without a gap, and a buffer of both."""
    short = ('--final-episodes', '1', *TINY)
    assert experiment(tmp_path, *short, steps=200) == 0
    first = (tmp_path / 'progress.csv').read_text().splitlines()
    assert experiment(tmp_path, '--resume', '--evaluate-every', '100', *short, steps=400) == 0
    lines = (tmp_path / 'progress.csv').read_text().splitlines()
    assert lines[: len(first)] == first
    assert [line.split(',')[0] for line in lines[1:]] == ['100', '200', '300', '400']
    evaluated = (tmp_path / 'evaluation.csv').read_text().splitlines()
    assert [line.split(',')[0] for line in evaluated] == ['step', '300', '400']
    agent = Agent.load(tmp_path / 'checkpoint', tiny.TASK)
    assert agent.num_steps == len(agent.learner.buffer) == 400
    result = figures(tmp_path)
    assert result['episodes'] == 1
    assert '--resume' in result['command'] and '--final-episodes 1' in result['command']


@pytest.mark.slow
def test_a_run_is_not_resumed_with_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment_module, 'EVALUATION_STEPS', 100)
        assert experiment(tmp_path, *TINY, steps=100) == 0
    before = (tmp_path / 'progress.csv').read_text()
    other = ('--resume', *TINY, '--set', 'sac.target_entropy=-0.5')
    assert experiment(tmp_path, *other, steps=200) == 2
    assert 'trained with sac.target_entropy -1.0 (not -0.5)' in capsys.readouterr().err
    assert (tmp_path / 'progress.csv').read_text() == before


@pytest.mark.slow
def test_seeds_run_side_by_side_in_folders_of_their_own(tmp_path: Path) -> None:
    overrides = [*TINY, '--set=planner.algorithm=actor']
    assert experiment(tmp_path, '--seeds', '0,3', '--algorithm', 'sac', *overrides, steps=100) == 0
    for seed in (0, 3):
        result = figures(tmp_path / f'seed_{seed}')
        assert (result['seed'], result['steps']) == (seed, 100)
        assert len(result['returns']) == result['episodes'] == 20
    returns = [figures(tmp_path / f'seed_{seed}')['mean_return'] for seed in (0, 3)]
    assert returns[0] != returns[1]


@pytest.mark.slow
def test_a_failed_seed_is_named_and_fails_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'seed_1' / 'progress.csv').mkdir(parents=True)  # where the table should be
    assert experiment(tmp_path, '--seeds', '0..1', *TINY, '--algorithm', 'sac', steps=100) == 2
    error = ' '.join(capsys.readouterr().err.split())
    assert 'seed 1 failed: loop-ros: ' in error
    assert 'seed 0 failed' not in error
    assert figures(tmp_path / 'seed_0')['steps'] == 100


@pytest.mark.parametrize('text', ['', '3..1', '-1', '1,1', 'all', '0..x'])
def test_seeds_are_checked(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        experiment(tmp_path, f'--seeds={text}')
    assert 'write 0..4 or 0,2,5' in capsys.readouterr().err
