# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags cut off anywhere, or with any byte changed: what is read was recorded, in its order."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bag_files import (
    ARRAY,
    WANTED,
    read,
    same,
    transition_bytes,
    transition_messages,
    unmoved,
    write_bag,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mcap.opcode import Opcode
from mcap.reader import make_reader

from loop_ros.bags.repair import repair
from loop_ros.types import Transition
from ros2_standalone.bag_writer import BagWriter as Recorder

FUNCTION_FIXTURES = [HealthCheck.function_scoped_fixture]


def recorded(path: Path) -> Path:
    """A bag of the standalone recorder: a chunk for every seven messages."""
    bag = Recorder(path)
    bag.add_topic('/transition', ARRAY, [])
    for index, transition in enumerate(WANTED):
        bag.write('/transition', index, transition_bytes(transition))
        if index % 7 == 0:
            bag.flush()
    bag.close()
    return next(path.glob('*.mcap'))


def rosbags_mcap(path: Path) -> Path:
    """One chunk, by the rosbags library."""
    return next(write_bag(path, transition_messages(WANTED)).glob('*.mcap'))


def rosbags_sqlite(path: Path) -> Path:
    """Pages of 4096 bytes, each with a few messages."""
    return next(write_bag(path, transition_messages(WANTED), sqlite=True).glob('*.db3'))


FORMS = {'recorder': recorded, 'mcap': rosbags_mcap, 'sqlite3': rosbags_sqlite}


@pytest.fixture(scope='module', params=FORMS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FORMS[request.param](tmp_path_factory.mktemp('bags') / 'whole')


def assert_prefix(found: list[Transition]) -> None:
    for a, b in zip(found[:-1], WANTED, strict=False):
        assert same(a, b)
    if found:
        assert same(found[-1], WANTED[len(found) - 1], 'truncated')
        assert found[-1].terminated or found[-1].truncated


@settings(max_examples=60, suppress_health_check=FUNCTION_FIXTURES)
@given(share=st.floats(0, 1))
def test_cut_off_anywhere(whole: Path, tmp_path: Path, share: float) -> None:
    data = whole.read_bytes()
    kept = data[: int(share * len(data))]
    file = tmp_path / whole.name
    file.write_bytes(kept)
    found, reader = read(file)
    assert_prefix(found)
    if 0 < len(found) < len(WANTED):
        assert 'read up to its last whole message' in reader.summary.notes[-1]
    assert file.read_bytes() == kept


@pytest.mark.slow
def test_cut_off_at_every_byte(tmp_path: Path) -> None:
    """Of a bag of three transitions in two chunks; more is never less."""
    bag = Recorder(tmp_path / 'whole')
    bag.add_topic('/transition', ARRAY, [])
    for index, transition in enumerate(WANTED[:3]):
        bag.write('/transition', index, transition_bytes(transition))
        if index == 0:
            bag.flush()
    bag.close()
    data = next((tmp_path / 'whole').glob('*.mcap')).read_bytes()
    counts = []
    for size in range(len(data) + 1):
        (tmp_path / 'cut.mcap').write_bytes(data[:size])
        found, _ = read(tmp_path / 'cut.mcap')
        assert_prefix(found)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 3}


@settings(max_examples=60, suppress_health_check=FUNCTION_FIXTURES)
@given(share=st.floats(0, 1), garbage=st.binary(min_size=1, max_size=40))
@example(share=0.7964082893311901, garbage=b'\0\0\0\1')  # makes a header of a chunk
def test_overwritten_anywhere(
    tmp_path_factory: pytest.TempPathFactory, share: float, garbage: bytes
) -> None:
    """Chunks have checksums: one that is broken is left out, with all behind it."""
    folder = tmp_path_factory.mktemp('bag')
    file = recorded(folder / 'bag')
    data = bytearray(file.read_bytes())
    place = int(share * len(data))
    data[place : place + len(garbage)] = garbage
    file.write_bytes(data)
    found, _ = read(file)
    assert_prefix(found)
    shutil.rmtree(folder)


@pytest.mark.parametrize('opcode', [*range(17), 0x80, 0xFF])
def test_a_chunk_that_became_another_record(tmp_path: Path, opcode: int) -> None:
    """Whatever it became, it is not passed over in silence; nor does a repair do so."""
    file = recorded(tmp_path / 'bag')
    with file.open('r+b') as stream:
        third = make_reader(stream).get_summary().chunk_indexes[2]
        stream.seek(third.chunk_start_offset)
        stream.write(bytes([opcode]))
    found, reader = read(file)
    repaired = repair(file, tmp_path / 'new')
    is_whole = opcode == Opcode.CHUNK
    assert_prefix(found)
    assert len(found) == repaired.contents.messages == (len(WANTED) if is_whole else 1 + 7)
    assert (not reader.summary.notes) == (not repaired.notes) == is_whole


def test_nothing_is_lost_without_the_footer(tmp_path: Path) -> None:
    file = recorded(tmp_path / 'bag')
    file.write_bytes(file.read_bytes()[:-30])
    found, _ = read(file)
    assert len(found) == len(WANTED)
    (file.parent / 'metadata.yaml').unlink()
    again, _ = read(file.parent)
    assert len(again) == len(WANTED)


def test_the_rest_of_an_old_summary_is_no_message(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves half a chunk and behind it what it goes over."""
    data = recorded(tmp_path / 'bag').read_bytes()
    shorter = Recorder(tmp_path / 'shorter')
    shorter.add_topic('/transition', ARRAY, [])
    for index, transition in enumerate(WANTED[:29]):
        shorter.write('/transition', index, transition_bytes(transition))
        if index % 7 == 0:
            shorter.flush()
    before = next((tmp_path / 'shorter').glob('*.mcap')).read_bytes()
    start = next(i for i, (a, b) in enumerate(zip(data, before, strict=False)) if a != b)
    for written in range(start, len(before) + 200, 97):
        file = tmp_path / 'half.mcap'
        file.write_bytes(data[:written] + before[written:])
        found, _ = read(file)
        assert_prefix(found)
        assert len(found) >= 29


def test_what_sqlite_has_not_yet_moved_into_the_file(tmp_path: Path) -> None:
    """A recorder that was killed leaves its last messages in the log beside the file."""
    file = rosbags_sqlite(tmp_path / 'bag')
    left = unmoved(file, tmp_path / 'left').parent
    found, reader = read(left / file.name)
    assert len(found) == 30
    assert_prefix(found)
    assert 'was left unfinished' in reader.summary.notes[0]
    assert sorted(f.name for f in left.iterdir() if f.name.endswith('-wal'))


def test_files_of_a_split_bag_in_order(tmp_path: Path) -> None:
    bag = Recorder(tmp_path / 'bag', max_size=4000)
    bag.add_topic('/transition', ARRAY, [])
    for index, transition in enumerate(WANTED):
        bag.write('/transition', index, transition_bytes(transition))
    bag.close()
    assert len(list((tmp_path / 'bag').glob('*.mcap'))) > 5
    found, reader = read(tmp_path / 'bag')
    assert len(found) == len(WANTED)
    assert_prefix(found)
    assert not reader.summary.closed
