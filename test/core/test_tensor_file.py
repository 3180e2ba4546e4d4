# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that claim more than they are, or changed on the way, are refused by their header."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any, NoReturn

import pytest
import tiny
import torch

from loop_ros import agent as agents
from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.checkpoint import tensor_file
from loop_ros.checkpoint.tensor_file import MAX_HEADER, TensorFile

WHOLE = checkpoint.pack({'a': torch.ones(2, 3), 'b': torch.zeros(4)}, {'note': 'x'})
GOOD = {'dtype': 'F32', 'shape': [2, 3], 'data_offsets': [0, 24]}


def crafted(header: Any, size: int = 24) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + bytes(size)


def fail(*_: object, **__: object) -> NoReturn:
    raise AssertionError('a tensor is made')


def test_what_is_written_passes() -> None:
    file = TensorFile(WHOLE, 'it')
    file.check_digest()
    assert file.metadata == {'note': 'x'}
    assert {name: place.shape for name, place in file.places.items()} == {'a': (2, 3), 'b': (4,)}
    assert file.tensors()['a'].tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize('place', [9, 40, len(WHOLE) - 1, len(WHOLE) - 20])
def test_a_changed_byte_is_noticed(place: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= 1
    with pytest.raises(ValueError, match='^it: '):
        TensorFile(bytes(changed), 'it').check_digest()


def test_a_changed_number_is_what_the_digest_is_for() -> None:
    changed = bytearray(WHOLE)
    changed[-1] ^= 1
    file = TensorFile(bytes(changed), 'it')
    with pytest.raises(ValueError, match='it: content does not match its sha256 digest'):
        file.check_digest()
    with pytest.raises(ValueError, match='does not match'):
        checkpoint.unpack(bytes(changed), 'it')


@pytest.mark.parametrize('stated', ['', '0' * 63, '0' * 64, 'F' * 64, 'é' * 64, '\ud800'])
def test_no_other_text_is_a_digest(stated: str) -> None:
    file = TensorFile(crafted({'__metadata__': {'sha256': stated}, 'a': GOOD}), 'it')
    with pytest.raises(ValueError, match='does not match'):
        file.check_digest()


def test_a_file_without_a_digest_is_refused_where_one_is_asked_for() -> None:
    file = TensorFile(crafted({'a': GOOD}), 'it')
    file.check_digest(required=False)
    with pytest.raises(ValueError, match='it: no sha256 digest in its metadata'):
        file.check_digest()


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', '0 bytes are not even'),
        (struct.pack('<Q', 2**63) + b'{}', 'a header of 9223372036854775808 bytes in a file of 10'),
        (crafted(b'{}' + b' ' * MAX_HEADER, 0), 'a header of 1048578 bytes'),
        (crafted(b'[' * 100_000, 0), 'not a readable'),
        (crafted(b'{"a":' * 50_000, 0), 'not a readable'),
        (crafted(b'[]', 0), 'its header is no mapping'),
        (crafted(b'{"a":1,"a":2}', 0), 'a name stands twice'),
        (crafted({'__metadata__': {'a': 1}}, 0), 'its metadata are no mapping of texts'),
        (crafted({'__metadata__': 3}, 0), 'its metadata are no mapping of texts'),
        (crafted({'a': 3}), "'a' has no dtype, shape and data_offsets"),
        (crafted({'a': {**GOOD, 'dtype': 'F99'}}), "'a' has an unknown dtype"),
        (crafted({'a': {**GOOD, 'dtype': []}}), "'a' has an unknown dtype"),
        (crafted({'a': {**GOOD, 'shape': [2**40, 2**40]}}), r"'a' is \[1099511627776, "),
        (crafted({'a': {**GOOD, 'shape': [10**30]}}), "'a' has no shape"),
        (crafted({'a': {**GOOD, 'shape': [1] * 9}}), "'a' has no shape of at most 8 dimensions"),
        (crafted({'a': {**GOOD, 'shape': [-2, -3]}}), "'a' has no shape"),
        (crafted({'a': {**GOOD, 'shape': [2.0, 3.0]}}), "'a' has no shape"),
        (crafted({'a': {**GOOD, 'shape': [True, 6]}}), "'a' has no shape"),
        (crafted({'a': {**GOOD, 'data_offsets': [0]}}), "'a' has no two data_offsets"),
        (crafted({'a': {**GOOD, 'data_offsets': [24, 0]}}), "'a' is"),
        (crafted({'a': GOOD, 'b': GOOD}), "'b' begins at byte 0 instead of 24"),
        (crafted({'a': {**GOOD, 'data_offsets': [4, 28]}}, 28), "'a' begins at byte 4"),
        (crafted({'a': GOOD}, 2**16), 'tensors of 24 bytes in 65536'),
        (crafted({'a': GOOD}, 23), 'tensors of 24 bytes in 23'),
    ],
)
def test_claims_that_do_not_add_up(
    monkeypatch: pytest.MonkeyPatch, data: bytes, reason: str
) -> None:
    monkeypatch.setattr(tensor_file, '_load_tensors', fail)
    with pytest.raises(ValueError, match='^it: not a readable safetensors file: '):
        checkpoint.unpack(data, 'it')
    with pytest.raises(ValueError, match=reason):
        checkpoint.unpack(data, 'it')


@pytest.fixture(scope='module')
def trained() -> Agent:
    return tiny.trained()


@pytest.mark.parametrize('change', ['wider', 'more', 'unsealed', 'changed', 'untrained', 'version'])
def test_an_agent_refuses_by_the_header_alone(
    trained: Agent, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    tensors, metadata = checkpoint.unpack(trained.weights(), 'copy')
    name = 'critic.network.layers.0.weight'
    match change:
        case 'wider':
            tensors[name] = torch.zeros(2, 10_000, 100)
            reason = rf'weights: {name} is \(2, 10000, 100\), expected \(2, \d+, 8\)'
        case 'more':
            tensors['more'] = torch.zeros(1_000_000)
            reason = "weights: 'more' is no tensor of this agent"
        case 'untrained':
            metadata['version'], reason = '0', 'weights: untrained'
        case 'version':
            metadata['version'], reason = '9' * 5000, 'weights: no version number'
        case 'unsealed':
            reason = 'weights: no sha256 digest'
        case _:
            reason = 'weights: content does not match its sha256 digest'
    data = bytearray(checkpoint.pack(tensors, metadata))
    if change == 'changed':
        data[-2] ^= 16
    if change == 'unsealed':
        data = bytearray(data.replace(b'"sha256":', b'"sha257":'))
    monkeypatch.setattr(tensor_file, '_load_tensors', fail)
    before = trained.version
    with pytest.raises(ValueError, match=reason):
        trained.load_weights(bytes(data))
    assert trained.version == before


def test_a_checkpoint_cannot_ask_for_networks_that_it_does_not_hold(
    trained: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings within their ranges, and a terabyte of memory."""
    trained.save(tmp_path)
    path = tmp_path / 'agent.json'
    metadata = json.loads(path.read_text())
    metadata['settings']['ensemble'] |= {'num_models': 100, 'num_layers': 20, 'width': 10_000}
    path.write_text(json.dumps(metadata))
    monkeypatch.setattr(agents, 'usable_device', fail)  # the first thing that an agent does
    with pytest.raises(ValueError, match=rf'{tmp_path}: ensemble\..* expected \(100, \d+, 10000\)'):
        Agent.load(tmp_path, tiny.TASK)


def test_a_checkpoint_from_before_digests_is_read(trained: Agent, tmp_path: Path) -> None:
    trained.save(tmp_path)
    (file,) = tmp_path.glob('agent-*.safetensors')
    data = file.read_bytes().replace(b'"sha256":', b'"sha257":')
    metadata = json.loads((tmp_path / 'agent.json').read_text())
    files = metadata.pop('files')
    assert list(files) == ['agent']
    checkpoint.write(tmp_path, {'agent': data}, metadata)
    assert Agent.load(tmp_path, tiny.TASK).version == trained.version


def test_deeply_nested_metadata_of_a_checkpoint_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'agent.json').write_text('[' * 100_000)
    with pytest.raises(ValueError, match='broken metadata'):
        checkpoint.read(tmp_path)


def test_networks_without_memory_have_the_sizes_of_real_ones(trained: Agent) -> None:
    sizes = agents.Parts.sizes(tiny.TASK, trained.settings)
    file = TensorFile(trained.weights(), 'it')
    file.check_fit(sizes)
    assert all(tensor.is_meta for tensor in sizes.values())
    wider = dataclasses.replace(trained.settings.off_policy, width=9)
    settings = dataclasses.replace(trained.settings, off_policy=wider)
    with pytest.raises(ValueError, match='it: actor'):
        file.check_fit(agents.Parts.sizes(tiny.TASK, settings))
