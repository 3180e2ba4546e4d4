# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data of each kind, from checkpoints, replay buffers and other people's files."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny
import torch

from loop_ros.bags.reader import BagReader
from loop_ros.bags.writer import BagWriter
from loop_ros.cli import dataset
from loop_ros.cli.main import main
from loop_ros.offline import hdf5
from loop_ros.sim import registry
from loop_ros.types import Transition


@pytest.fixture(scope='module')
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('run') / 'checkpoint'
    tiny.trained(60).save(folder, buffer=True)
    return folder.parent


def numbers(found: Iterator[Transition]) -> list[tuple[Any, ...]]:
    return [(t.episode, t.step, *t.observation, *t.action, t.reward) for t in found]


def test_a_bag_of_random_data_reads_back(tmp_path: Path) -> None:
    out = tmp_path / 'bag'
    words = ['dataset', 'drift_car', '--kind', 'random', '--steps', '130', '--out', str(out)]
    assert main(words) == 0
    read = list(BagReader([out], tiny.TASK))
    made = list(dataset.transitions(tiny.TASK, 'random', [], 130))
    assert numbers(iter(read)) == numbers(iter(made))
    assert [t.truncated for t in read].count(True) == read[-1].episode + 1
    assert read[-1].truncated


def test_medium_is_the_policy_with_its_noise(run_folder: Path) -> None:
    one, two = (
        numbers(dataset.transitions(tiny.TASK, 'medium', [run_folder], 30, seed)) for seed in (0, 1)
    )
    assert len(one) == 30
    assert one != two
    assert one == numbers(dataset.transitions(tiny.TASK, 'medium', [run_folder], 30, 0))


def test_medium_expert_is_half_of_each(run_folder: Path) -> None:
    sources = [run_folder, run_folder]
    found = list(dataset.transitions(tiny.TASK, 'medium-expert', sources, 20))
    assert len(found) == 20
    assert [t.step for t in found] == [*range(10), *range(10)]
    assert [t.episode for t in found] == [0] * 10 + [1] * 10
    assert found[9].truncated


def test_medium_replay_is_what_the_buffer_holds(run_folder: Path) -> None:
    """As states, actions and rewards; episodes as they were."""
    found = list(dataset.transitions(tiny.TASK, 'medium-replay', [run_folder], None))
    recorded = tiny.transitions(60)
    assert [(t.episode, t.step) for t in found] == [(t.episode, t.step) for t in recorded]
    for ours, theirs in zip(found, recorded, strict=True):
        for name in ('observation', 'next_observation'):
            states = [
                tiny.TASK.encode(torch.from_numpy(getattr(t, name))).numpy() for t in (ours, theirs)
            ]
            np.testing.assert_allclose(*states, atol=1e-5)
        np.testing.assert_allclose(ours.action, theirs.action, atol=1e-4)
        assert ours.reward == pytest.approx(theirs.reward, abs=1e-5)
    for before, after in itertools.pairwise(found):
        if not before.truncated:
            np.testing.assert_array_equal(before.next_observation, after.observation)


def test_sources_must_fit(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ['dataset', 'drift_car', '--out', str(tmp_path / 'bag'), '--kind']
    assert main([*common, 'medium']) == 2
    assert '--from takes 1 runs' in capsys.readouterr().err
    assert main([*common, 'import']) == 2
    assert 'name the HDF5 files' in capsys.readouterr().err
    bare = tmp_path / 'bare'
    tiny.trained(60).save(bare)
    with pytest.raises(ValueError, match='no replay buffer'):
        list(dataset.replayed(bare, tiny.TASK))


HOPPER = registry.task('Hopper')


def write_d4rl(path: Path, next_observations: bool) -> np.ndarray:
    """Episodes of 3 (terminal), 2 (timeout) and 2 steps (the file's end)."""
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(7, 11))
    with h5py.File(path, 'w') as file:
        file['observations'] = observations
        file['actions'] = rng.uniform(-1, 1, size=(7, 3))
        file['rewards'] = np.arange(7.0)
        file['terminals'] = np.arange(7) == 2
        file['timeouts'] = np.arange(7) == 4
        if next_observations:
            file['next_observations'] = observations + 1.0
    return observations


@pytest.mark.parametrize('known', [True, False])
def test_d4rl(tmp_path: Path, known: bool) -> None:
    observations = write_d4rl(tmp_path / 'd4rl.hdf5', known)
    found = list(hdf5.read(tmp_path / 'd4rl.hdf5', HOPPER))
    lengths = [3, 2, 2] if known else [3, 1, 1]
    expected = [(n, step) for n, length in enumerate(lengths) for step in range(length)]
    assert [(t.episode, t.step) for t in found] == expected
    assert [t.terminated for t in found] == [i == 2 for i in range(len(found))]
    ends = {(0, 2)} | {(n, lengths[n] - 1) for n in (1, 2)}
    assert {(t.episode, t.step) for t in found if t.terminated or t.truncated} == ends
    np.testing.assert_array_equal(found[0].observation, observations[0])
    wanted = observations[0] + 1.0 if known else observations[1]
    np.testing.assert_array_equal(found[0].next_observation, wanted)


def without(path: Path, *names: str, next_observations: bool = False) -> Path:
    write_d4rl(path, next_observations)
    with h5py.File(path, 'r+') as file:
        for name in names:
            del file[name]
    return path


def test_d4rl_without_timeouts_is_cut_after_the_tasks_steps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted from each terminal: the step across the reset, of unknown end, is left out."""
    task = dataclasses.replace(HOPPER, max_episode_steps=2)
    found = list(hdf5.read(without(tmp_path / 'a.hdf5', 'timeouts'), task))
    # Rows 0 1 | 2, a terminal | 3 4 | 5 6: the second of each pair is cut.
    assert [(t.episode, t.step, t.reward) for t in found] == [
        (0, 0, 0.0), (1, 0, 2.0), (2, 0, 3.0), (3, 0, 5.0)
    ]  # fmt: skip
    assert [t.terminated for t in found] == [False, True, False, False]
    assert [t.truncated for t in found] == [True, False, True, True]
    assert 'no timeouts: cut after 2 steps' in caplog.text


def test_d4rl_without_timeouts_is_cut_where_the_next_state_is_another(tmp_path: Path) -> None:
    path = without(tmp_path / 'a.hdf5', 'timeouts')
    with h5py.File(path, 'r+') as file:
        following = np.roll(file['observations'][:], -1, axis=0)
        following[4] += 1.0  # a reset behind row 4
        file['next_observations'] = following
    found = list(hdf5.read(path, HOPPER))
    assert [(t.episode, t.step) for t in found] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)
    ]  # fmt: skip
    assert [t.truncated for t in found] == [i in (4, 6) for i in range(7)]


@pytest.mark.parametrize('name', ['rewards', 'terminals', 'actions'])
def test_d4rl_without_a_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It is named, and no half of a bag keeps the next try from working."""
    path = without(tmp_path / 'a.hdf5', name)
    words = ['dataset', 'Hopper', '--kind', 'import', '--out', str(tmp_path / 'new'), '--from']
    assert main([*words, str(path)]) == 2
    assert f"no '{name}' in it, but " in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.hdf5']
    write_d4rl(tmp_path / 'b.hdf5', True)
    assert main([*words, str(tmp_path / 'b.hdf5')]) == 0
    assert len(list(BagReader([tmp_path / 'new'], HOPPER))) == 7


def test_a_file_without_a_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / 'a.hdf5', 'w') as file:
        file['observations'], file['actions'] = np.empty((0, 11)), np.empty((0, 3))
        file['rewards'] = file['terminals'] = file['timeouts'] = np.empty(0)
    words = ['dataset', 'Hopper', '--kind', 'import', '--out', str(tmp_path / 'new'), '--from']
    assert main([*words, str(tmp_path / 'a.hdf5')]) == 2
    assert f"no transition of task 'Hopper' in {tmp_path / 'a.hdf5'}" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.hdf5']


def test_h5py_that_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_d4rl(tmp_path / 'a.hdf5', True)
    monkeypatch.setitem(sys.modules, 'h5py', None)
    words = ['dataset', 'Hopper', '--kind', 'import', '--out', str(tmp_path / 'new'), '--from']
    assert main([*words, str(tmp_path / 'a.hdf5')]) == 2
    assert 'HDF5 files need h5py: pip install h5py' in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.hdf5']


def test_columns_of_different_lengths(tmp_path: Path) -> None:
    path = without(tmp_path / 'a.hdf5', 'rewards')
    with h5py.File(path, 'r+') as file:
        file['rewards'] = np.zeros(6)
    with pytest.raises(ValueError, match=r'columns of different lengths, \[6, 7\]'):
        list(hdf5.read(path, HOPPER))


def test_what_was_written_before_an_interruption_stays(tmp_path: Path) -> None:
    for count in (3, 0):
        out = tmp_path / f'{count}'
        with pytest.raises(KeyboardInterrupt), BagWriter(out, tiny.TASK) as bag:
            for transition in tiny.transitions(count):
                bag.write(transition)
            raise KeyboardInterrupt
        assert out.exists() == (count > 0)
    assert len(list(BagReader([tmp_path / '3'], tiny.TASK))) == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ['3']


def test_minari(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'main_data.hdf5', 'w') as file:
        for name, length in (('episode_10', 2), ('episode_2', 3)):
            group = file.create_group(name)
            group['observations'] = np.full((length + 1, 11), float(length))
            group['actions'] = np.zeros((length, 3))
            group['rewards'] = np.ones(length)
            group['terminations'] = np.arange(length) == length - 1
            group['truncations'] = np.zeros(length, dtype=bool)
    found = list(hdf5.read(tmp_path / 'main_data.hdf5', HOPPER))
    assert [(t.episode, t.step) for t in found] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert [t.terminated for t in found] == [False, False, True, False, True]


def test_files_of_another_task_are_refused(tmp_path: Path) -> None:
    write_d4rl(tmp_path / 'd4rl.hdf5', True)
    with pytest.raises(ValueError, match=r"observations of shape \(7, 11\); task 'HalfCheetah'"):
        list(hdf5.read(tmp_path / 'd4rl.hdf5', registry.task('HalfCheetah')))


def test_without_h5py(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(ValueError, match='pip install h5py'):
        list(hdf5.read(tmp_path / 'any.hdf5', HOPPER))
