# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Promises of plans against what then happened: figures, files, and an end by Ctrl-C."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from interrupted import interrupted

from loop_ros.cli import calibrate
from loop_ros.cli.main import main
from loop_ros.runner import run_episode
from loop_ros.sim import disturbed

PNG = b'\x89PNG\r\n\x1a\n'


@pytest.fixture(scope='module')
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a tiny agent, which drives badly."""
    path = tmp_path_factory.mktemp('agent') / 'checkpoint'
    tiny.trained().save(path)
    return path


def command(saved: Path, out: Path, *arguments: str) -> list[str]:
    common = ['--checkpoint', str(saved), '--episodes', '1', '--out', str(out)]
    return ['calibrate', 'drift_car', *common, *arguments]


def read(out: Path) -> list[dict[str, Any]]:
    return list(json.loads((out / 'calibration.json').read_text())['conditions'])


@pytest.mark.parametrize('disturbance', ['none', 'noise=3', 'delay=2'])
def test_what_happened_is_the_true_cost_of_the_next_steps(disturbance: str) -> None:
    agent = tiny.trained()
    env = disturbed.make(agent.task, disturbed.Disturbance.parse(disturbance))
    episode = run_episode(env, agent, index=5, seed=1)
    found = calibrate.windows(episode, env.states, agent)
    horizon, discount = agent.settings.planner.horizon, agent.settings.planner.discount
    starts = range(len(episode.costs) - horizon + 1)
    outside = [float(np.hypot(*state[:2]) > 1.2) for state in env.states[1:]]
    expected = [sum(discount**k * outside[t + k] for k in range(horizon)) for t in starts]
    assert 0 < sum(outside) < len(outside), 'says nothing of a car that is never or always outside'
    np.testing.assert_allclose(found.realised, expected)
    np.testing.assert_allclose(found.charged, expected)
    assert found.predicted.tolist() == [episode.plans[t].worst_cost for t in starts]
    assert set(found.episode) == {5}


def made_up(predicted: list[float], realised: list[float], episode: list[int]) -> calibrate.Windows:
    return calibrate.Windows(
        np.array(episode), np.array(predicted), np.array(realised), np.array(realised),
        np.array(predicted) > 3,
    )  # fmt: skip


def test_promises_are_counted_as_by_hand() -> None:
    found = made_up([0, 1, 1, 2, 3, 4], [0, 0, 2, 0, 2, 4], [0, 0, 0, 1, 1, 1])
    row = calibrate.metrics(found, d0=1.0, horizon=2)
    assert row['windows'] == 6
    assert row['promised'] == pytest.approx(3 / 6)
    assert row['broken'] == pytest.approx(1 / 3)
    assert row['refused_held'] == pytest.approx(1 / 3)
    assert row['exceeded'] == pytest.approx(1 / 6)
    assert row['none_safe'] == pytest.approx(1 / 6)
    assert row['largest'] == 4
    assert [(r['predicted'], r['realised'], r['windows']) for r in row['reliability']] == [
        (0, 0, 1), (1, 1, 2), (2, 0, 1), (3, 2, 1), (4, 4, 1),
    ]  # fmt: skip
    row = calibrate.metrics(found, d0=0.0, horizon=2)
    assert (row['promised'], row['broken']) == (pytest.approx(1 / 6), 0)
    none = calibrate.metrics(made_up([2.0], [0.0], [0]), d0=0.0, horizon=2)
    assert none['broken'] is none['broken_low'] is None
    assert none['refused_held'] == 1


def test_the_interval_is_wilsons_for_windows_that_share_no_step() -> None:
    """By hand: 80 windows of 8 steps are worth 10; without a hit the upper end is z2 / (n + z2)."""
    all_of_them = np.ones(80, dtype=bool)
    p, low, high = calibrate.share(~all_of_them, all_of_them, np.arange(80) // 8, 8)
    assert (p, low) == (0, 0)
    assert high == pytest.approx(1.96**2 / (10 + 1.96**2))
    assert calibrate.share(all_of_them, all_of_them, np.arange(80) // 8, 8)[0::2] == (1, 1)


def test_the_interval_holds_the_truth_though_steps_of_an_episode_are_alike() -> None:
    """Nine of ten intervals or more where each episode has a share of its own; 0.2 on average."""
    rng = np.random.default_rng(0)
    episode = np.repeat(np.arange(20), 93)
    held = 0
    for _ in range(300):
        hits = rng.random(len(episode)) < rng.beta(1.0, 4.0, 20)[episode]
        _, low, high = calibrate.share(hits, np.ones_like(hits), episode, 8)
        assert low is not None
        assert high is not None
        held += low <= 0.2 <= high
    assert held >= 270


@pytest.mark.slow
def test_table_figures_and_picture_are_written(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'deep' / 'out'
    arguments = ('--d0', '0', '2', '--disturb', 'none', 'friction=0.7', 'noise=1', '--json')
    assert main(command(saved, out, *arguments)) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)['conditions'] == read(out)
    calibrate.show(json.loads(printed))
    assert 'friction=0.7' in capsys.readouterr().out
    rows = read(out)
    conditions = [(d, d0) for d in ('none', 'friction=0.7', 'noise=1') for d0 in (0.0, 2.0)]
    assert [(row['disturbance'], row['d0']) for row in rows] == conditions
    assert all(row['windows'] == 98 for row in rows)
    with (out / 'calibration.csv').open() as file:
        table = list(csv.DictReader(file))
    assert [(row['disturbance'], float(row['d0'])) for row in table] == conditions
    for row, written in zip(rows, table, strict=True):
        assert float(written['return']) == pytest.approx(row['return'], rel=1e-4)
        if row['broken'] is None:
            assert written['broken'] == ''
    assert rows[0]['return'] != rows[2]['return']
    assert (out / 'calibration.png').read_bytes().startswith(PNG)


@pytest.mark.slow
def test_a_condition_is_the_same_alone_as_among_others(saved: Path, tmp_path: Path) -> None:
    """So that a run may be cut into several."""
    both, alone = tmp_path / 'both', tmp_path / 'alone'
    assert main(command(saved, both, '--d0', '0', '2', '--disturb', 'none', 'delay=2')) == 0
    assert main(command(saved, alone, '--d0', '2', '--disturb', 'delay=2')) == 0
    assert read(both)[-1] == read(alone)[0]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--disturb', 'rain=1'], "disturbance 'rain=1': write none, friction=0.7"),
        (['--d0', '0', '-1'], '-1.0 is outside'),
        (['--set', 'planner.algorithm=actor'], 'an actor without a planner predicts no cost'),
    ],
)
def test_errors_are_told_before_anything_is_driven(
    saved: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / 'out'
    assert main(command(saved, out, *arguments)) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_conditions_driven_so_far(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    thresholds = [str(d0) for d0 in range(1000)]
    arguments = ['-m', 'loop_ros.cli.main', *command(saved, out, '--d0', *thresholds)]
    interrupted(arguments, (out / 'calibration.csv').is_file, timeout=120)
    rows = read(out)
    assert [row['d0'] for row in rows] == list(range(len(rows)))
    assert (out / 'calibration.csv').read_text().count('\n') == len(rows) + 1
    assert (out / 'calibration.png').read_bytes().startswith(PNG)
