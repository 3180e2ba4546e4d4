# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints survive crashes, and broken ones are refused with a reason."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop_ros import checkpoint
from loop_ros.agent import Agent

OLD = {'agent': checkpoint.pack({'w': torch.zeros(3)}, {}), 'training': b'old training state'}
NEW = {'agent': checkpoint.pack({'w': torch.ones(3)}, {}), 'training': b'new training state'}


class Crash(Exception):
    """Stands for a SIGKILL at this very moment."""


def crash_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, until its call number `call`, at which the process dies instead."""
    calls = iter(range(call))

    def crashing(*args: Any, **kwargs: Any) -> Any:
        if next(calls, None) is None:
            raise Crash
        return function(*args, **kwargs)

    return crashing


def write_old(folder: Path) -> None:
    checkpoint.write(folder, OLD, {'version': 1})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / 'deep' / 'checkpoint'
    write_old(folder)
    files, metadata = checkpoint.read(folder)
    assert files == OLD
    assert metadata['version'] == 1
    checkpoint.write(folder, NEW, {'version': 2})
    files, metadata = checkpoint.read(folder)
    assert files == NEW
    assert metadata['version'] == 2
    # Nothing of the old one stays behind.
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize('function', ['os.replace', 'os.fsync', 'pathlib.Path.unlink'])
@pytest.mark.parametrize('call', range(4))
def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, call: int
) -> None:
    write_old(tmp_path)
    original: dict[str, Any] = {
        'os.replace': os.replace,
        'os.fsync': os.fsync,
        'pathlib.Path.unlink': Path.unlink,
    }
    with monkeypatch.context() as patch:
        patch.setattr(function, crash_at(call, original[function]))
        try:
            checkpoint.write(tmp_path, NEW, {'version': 2})
            crashed = False
        except Crash:
            crashed = True
    files, metadata = checkpoint.read(tmp_path)
    assert (files, metadata['version']) in ((OLD, 1), (NEW, 2))
    # Three files are written; two old ones are removed.
    assert crashed == (call < (2 if function == 'pathlib.Path.unlink' else 3))
    if function != 'pathlib.Path.unlink' and crashed:
        assert files == OLD
    # The next save works in the same folder.
    checkpoint.write(tmp_path, NEW, {'version': 3})
    assert checkpoint.read(tmp_path)[0] == NEW


def test_the_next_save_clears_what_a_killed_process_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-written buffers of hundreds of megabytes would fill the disk, crash by crash."""
    with monkeypatch.context() as patch:
        patch.setattr(os, 'getpid', lambda: 99999)  # the process that was killed
        patch.setattr(os, 'replace', crash_at(1, os.replace))
        with pytest.raises(Crash):
            write_old(tmp_path)
    checkpoint.write(tmp_path, NEW, {'version': 2})
    assert checkpoint.read(tmp_path)[0] == NEW
    assert len(list(tmp_path.iterdir())) == 3


def test_a_crash_in_the_first_save_reads_as_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', crash_at(2, os.replace))
        with pytest.raises(Crash):
            write_old(tmp_path)
    with pytest.raises(ValueError, match=r'no checkpoint here \(no agent\.json\)'):
        checkpoint.read(tmp_path)


def tensor_file(folder: Path) -> Path:
    return next(folder.glob('agent-*.safetensors'))


@pytest.mark.parametrize('damage', ['flip', 'truncate', 'empty'])
def test_damaged_weights_are_refused_by_name(tmp_path: Path, damage: str) -> None:
    write_old(tmp_path)
    path = tensor_file(tmp_path)
    data = bytearray(path.read_bytes())
    if damage == 'flip':
        data[-1] ^= 1
    damaged = {'flip': bytes(data), 'truncate': bytes(data[:-1]), 'empty': b''}
    path.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=f'{path.name}.*does not match its digest; copy it again'):
        checkpoint.read(tmp_path)


def test_missing_weights_are_refused_by_name(tmp_path: Path) -> None:
    write_old(tmp_path)
    tensor_file(tmp_path).unlink()
    with pytest.raises(ValueError, match=r'agent-\w+\.safetensors is missing; copy the whole'):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    'content', ['', 'nonsense', '[]', '3', 'null', '{}', '{"format": 1}', '{"files": {}}',
                '{"format": 1, "files": 3}', '{"format": 1, "files": [1]}', '\udc80']
)  # fmt: skip
def test_broken_metadata_are_refused_by_name(tmp_path: Path, content: str) -> None:
    write_old(tmp_path)
    (tmp_path / 'agent.json').write_bytes(content.encode('utf-8', 'surrogateescape'))
    with pytest.raises(ValueError, match=r'agent\.json: broken metadata'):
        checkpoint.read(tmp_path)


def test_another_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    write_old(tmp_path)
    path = tmp_path / 'agent.json'
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match='format 2; this release reads format 1'):
        checkpoint.read(tmp_path)


def test_metadata_cannot_reach_outside_the_folder(tmp_path: Path) -> None:
    """A checkpoint may come from anywhere; it names files beside itself or nothing."""
    folder = tmp_path / 'checkpoint'
    write_old(folder)
    secret = tmp_path / tensor_file(folder).name
    tensor_file(folder).rename(secret)
    metadata = json.loads((folder / 'agent.json').read_text())
    metadata['files']['agent'] = f'../{secret.name}'
    (folder / 'agent.json').write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match='is missing'):
        checkpoint.read(folder)


def test_tensors_survive_packing() -> None:
    tensors = {
        'strided': torch.arange(6.0).reshape(2, 3).T,
        'shared': torch.arange(3.0),
        'bytes': torch.arange(256, dtype=torch.uint8),
        'scalar': torch.tensor(0.1, dtype=torch.float64),
        'empty': torch.zeros(0, 4),
    }
    tensors['alias'] = tensors['shared']
    unpacked, metadata = checkpoint.unpack(checkpoint.pack(tensors, {'version': '3'}), 'test')
    assert metadata == {'version': '3'}
    assert set(unpacked) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(unpacked[name], tensor)
        assert unpacked[name].dtype == tensor.dtype


@settings(max_examples=200)
@given(data=st.data())
def test_broken_bytes_are_refused_or_read_but_never_crash(data: st.DataObject) -> None:
    whole = bytearray(OLD['agent'])
    match data.draw(st.sampled_from(['flip', 'truncate', 'random'])):
        case 'flip':
            whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        case 'truncate':
            whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
        case 'random':
            whole = bytearray(data.draw(st.binary(max_size=64)))
    try:
        checkpoint.unpack(bytes(whole), 'the source')
    except ValueError as error:
        assert str(error).startswith('the source: ')


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({'w': torch.zeros(1)}, tmp_path / 'pickled.pt')
    with pytest.raises(ValueError, match='not a readable safetensors file'):
        checkpoint.unpack((tmp_path / 'pickled.pt').read_bytes(), 'pickled.pt')


# --- whole agents ---


@pytest.fixture(scope='module')
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('saved')
    tiny.trained().save(folder, buffer=True)
    return folder


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_agent_loads_damaged_metadata_or_says_what_is_wrong(
    saved: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """Any one byte of agent.json changed: a working agent or a ValueError, nothing else."""
    content = bytearray((saved / 'agent.json').read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(32, 126))
    for file in saved.glob('*.safetensors'):
        copy = tmp_path / file.name
        if not copy.exists():
            copy.symlink_to(file)
    (tmp_path / 'agent.json').write_bytes(content)
    try:
        agent = Agent.load(tmp_path, tiny.TASK)
    except ValueError as error:
        assert str(tmp_path) in str(error)
    else:
        assert agent.ready


@pytest.mark.parametrize('key', ['settings', 'files', 'num_steps', 'version', 'task'])
def test_metadata_without_a_key_are_refused(saved: Path, tmp_path: Path, key: str) -> None:
    metadata = json.loads((saved / 'agent.json').read_text())
    del metadata[key]
    for file in saved.glob('*.safetensors'):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / 'agent.json').write_text(json.dumps(metadata))
    if key in ('version', 'task'):  # only for people: the weights carry both
        assert Agent.load(tmp_path, tiny.TASK).ready
    else:
        with pytest.raises(ValueError, match=str(tmp_path)):
            Agent.load(tmp_path, tiny.TASK)


# --- resolve ---


def test_resolve_none_and_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoint.resolve('none', 'drift_car') is None
    write_old(tmp_path / 'mine')
    assert checkpoint.resolve(str(tmp_path / 'mine'), 'drift_car') == tmp_path / 'mine'
    monkeypatch.setenv('HOME', str(tmp_path))
    assert checkpoint.resolve('~/mine', 'drift_car') == tmp_path / 'mine'
    write_old(tmp_path / 'experiment/checkpoint')
    found = checkpoint.resolve(str(tmp_path / 'experiment'), 'drift_car')
    assert found == tmp_path / 'experiment/checkpoint'


def test_resolve_says_what_to_use_instead(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'no_such_task'; use checkpoint none, or the path"):
        checkpoint.resolve('shipped', 'no_such_task')
    with pytest.raises(ValueError, match=r"checkpoint '.*empty'.*use shipped, none, or the path"):
        checkpoint.resolve(str(tmp_path / 'empty'), 'drift_car')


def test_a_checkpoint_of_another_task_is_refused_by_both_names(tmp_path: Path) -> None:
    """Also where the networks would fit."""
    agent = Agent(tiny.TASK, tiny.settings())
    agent.save(tmp_path)
    other = dataclasses.replace(tiny.TASK, name='another')
    with pytest.raises(ValueError, match=f"trained for the task '{tiny.TASK.name}', not 'another'"):
        Agent.load(tmp_path, other)
