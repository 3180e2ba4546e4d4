# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed bags: what is whole in them is read, with a word on the rest and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
import zstandard
from bag_files import ARRAY, STORE, TASK, same, write_bag
from packed_bags import DRIVEN, SENT, TABLE, made
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from loop_ros.bags.reader import BagReader
from loop_ros.bags.repair import repair

WHOLE = ('whole', 'split', 'no metadata')


@pytest.mark.parametrize(('compression', 'storage', 'state'), TABLE)
def test_what_is_whole_in_a_bag_is_read(
    tmp_path: Path, compression: str, storage: str, state: str
) -> None:
    bag = made(tmp_path / 'bag', compression, storage, state)
    before = {file.name: file.read_bytes() for file in bag.iterdir()}
    reader = BagReader([bag], TASK)
    found = list(reader)
    truth = {t.stamp: t for t in DRIVEN}
    changed = [t for t in found if not same(t, truth[t.stamp], 'truncated', 'episode')]
    # sqlite3 has no checksums; 50 bytes may be of two messages.
    assert len(changed) <= 2 * (storage == 'sqlite3' and state == 'damaged')
    notes = reader.summary.notes
    if state in WHOLE:
        assert len(found) == len(DRIVEN)
        assert not notes
    else:
        assert len(DRIVEN) / 4 < len(found)
        lost = len(DRIVEN) - len(found)
        assert 0 <= lost == sum(reader.summary.dropped.values()) or (
            f"'{next(bag.glob('bag_0.*'))}' " in notes[0] and "'loop-ros repair'" in notes[0]
        )
    assert {file.name: file.read_bytes() for file in bag.iterdir()} == before


@pytest.mark.parametrize(('compression', 'storage', 'state'), TABLE)
def test_repair_makes_a_plain_bag(
    tmp_path: Path, compression: str, storage: str, state: str
) -> None:
    bag = made(tmp_path / 'bag', compression, storage, state)
    repaired = repair(bag, tmp_path / 'new')
    with Reader(tmp_path / 'new') as new:
        found = [(c.topic, c.msgtype, time, bytes(data)) for c, time, data in new.messages()]
        assert new.message_count == len(found) == repaired.contents.messages
        assert not new.compression_mode
    if state in WHOLE:
        assert found == SENT
        assert 'nothing was lost' in repaired.describe()
        return
    assert len(SENT) / 4 < len(found)
    assert len(set(found) - set(SENT)) <= 2 * (storage == 'sqlite3' and state == 'damaged')
    file = next(bag.glob('bag_0.*'))
    assert len(found) == len(SENT) or f"'{file}' " in repaired.notes[0]


@pytest.mark.parametrize('keep', [True, False])
@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_a_file_that_somebody_unpacked(tmp_path: Path, storage: str, keep: bool) -> None:
    """As zstd -d does, which leaves metadata.yaml as it was."""
    bag = made(tmp_path / 'bag', 'file', storage, 'split')
    for packed in list(bag.glob('bag_1.*')):
        (bag / packed.stem).write_bytes(zstandard.decompress(packed.read_bytes()))
        if not keep:
            packed.unlink()
    reader = BagReader([bag], TASK)
    assert len(list(reader)) == len(DRIVEN)
    assert not reader.summary.dropped
    assert reader.summary.files == 3
    assert repair(bag, tmp_path / 'new').notes == []


def test_a_packed_file_alone(tmp_path: Path) -> None:
    bag = made(tmp_path / 'bag', 'file', 'mcap', 'split')
    assert len(list(BagReader([bag / 'bag_1.mcap.zstd'], TASK))) == 200


@pytest.mark.parametrize('content', [b'', b'no bag at all'])
def test_a_packed_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / 'bag.db3.zstd'
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"has no topic 'transition'.*bag\.db3\.zstd' "):
        list(BagReader([tmp_path], TASK))
    with pytest.raises(ValueError, match='no whole message'):
        repair(file, tmp_path / 'new')


def test_messages_of_which_one_is_broken(tmp_path: Path) -> None:
    packed = [(*m[:3], zstandard.compress(m[3])) for m in SENT]
    packed[7] = (*packed[7][:3], packed[7][3][:50])
    bag = write_bag(tmp_path / 'bag', packed, sqlite=True)
    reader = BagReader([bag], TASK)
    assert len(list(reader)) == len(SENT) - 1
    assert reader.summary.dropped == {'broken': 1}
    repaired = repair(bag, tmp_path / 'new')
    assert repaired.contents.messages == len(SENT) - 1
    assert 'has 1 messages that cannot be unpacked' in repaired.notes[0]


def test_contents_count_not_what_metadata_says(tmp_path: Path) -> None:
    """A recorder that was killed has written nothing into it, or too few."""
    bag = write_bag(tmp_path / 'bag', SENT)
    file = bag / 'metadata.yaml'
    said = yaml.safe_load(file.read_text())
    for topic in said['rosbag2_bagfile_information']['topics_with_message_count']:
        topic['message_count'] = 0
    file.write_text(yaml.safe_dump(said))
    assert len(list(BagReader([bag], TASK))) == len(DRIVEN)
    said['rosbag2_bagfile_information']['topics_with_message_count'] = []
    file.write_text(yaml.safe_dump(said))
    assert len(list(BagReader([bag], TASK))) == len(DRIVEN)


def test_a_topic_without_messages_is_none(tmp_path: Path) -> None:
    """It does not keep states and commands from being read; one sentence says that they fail."""
    for sqlite in (False, True):
        bag = tmp_path / f'{sqlite}'
        plugin = StoragePlugin.SQLITE3 if sqlite else StoragePlugin.MCAP
        with Writer(bag, version=8, storage_plugin=plugin) as writer:
            writer.add_connection('/transition', ARRAY, typestore=STORE)
            other = writer.add_connection('/other', ARRAY, typestore=STORE)
            writer.write(other, 1, SENT[0][3])
        with pytest.raises(ValueError, match="has no topic 'transition'.*; its topics: /other"):
            list(BagReader([bag], TASK))
