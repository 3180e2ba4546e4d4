# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros repair: bags cut anywhere become whole ones that other readers open."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from bag_files import (
    ARRAY,
    JOINTS,
    STORE,
    TASK,
    WANTED,
    Message,
    command,
    drive,
    read,
    transition_messages,
    unmoved,
    write_bag,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader

from loop_ros.bags import repair as repair_module
from loop_ros.bags.reader import BagReader
from loop_ros.bags.repair import repair
from loop_ros.cli.main import main
from ros2_standalone.bag_writer import BagWriter as Recorder

QOS = [
    {
        'history': 'keep_last', 'depth': 7, 'reliability': 'best_effort',
        'durability': 'transient_local', 'deadline': {'sec': 1, 'nsec': 2},
        'lifespan': {'sec': 0, 'nsec': 0}, 'liveliness': 'automatic',
        'liveliness_lease_duration': {'sec': 0, 'nsec': 0},
        'avoid_ros_namespace_conventions': False,
    }
]  # fmt: skip


def sent() -> list[Message]:
    """Two topics, one after the other."""
    found: list[Message] = []
    for index, message in enumerate(transition_messages(WANTED)):
        later = message[2] + 1000
        found += [message, ('/command', JOINTS, later, command(WANTED[index].action, later))]
    return found


SENT = sent()
Held = list[tuple[str, str, int, bytes]]


def by_recorder(path: Path) -> Path:
    """A chunk for every nine messages, with checksums; QoS of version 9."""
    bag = Recorder(path)
    for topic, kind in (('/transition', ARRAY), ('/command', JOINTS)):
        bag.add_topic(topic, kind, QOS)
    for index, (topic, _, time, data) in enumerate(SENT):
        bag.write(topic, time, data)
        if index % 9 == 0:
            bag.flush()
    bag.close()
    return next(path.glob('*.mcap'))


def by_mcap(path: Path, compression: CompressionType = CompressionType.ZSTD) -> Path:
    """Small compressed chunks, with a publish time and a number of each message."""
    path.mkdir()
    file = path / 'some_name_3.mcap'
    with file.open('wb') as stream:
        writer = Writer(stream, chunk_size=4000, compression=compression)
        writer.start('ros2')
        channels = {}
        for topic, kind, time, data in SENT:
            if topic not in channels:
                text, _ = STORE.generate_msgdef(kind, ros_version=2)
                schema = writer.register_schema(kind, 'ros2msg', text.encode())
                more = {'offered_qos_profiles': yaml.safe_dump(QOS), 'topic_type_hash': 'RIHS01_x'}
                channels[topic] = writer.register_channel(topic, 'cdr', schema, more)
            writer.add_message(channels[topic], time, data, time - 5, len(data))
        writer.finish()
    return file


def by_sqlite(path: Path) -> Path:
    return next(write_bag(path, SENT, sqlite=True).glob('*.db3'))


FORMS = {'recorder': by_recorder, 'mcap': by_mcap, 'sqlite3': by_sqlite}


@pytest.fixture(scope='module', params=FORMS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FORMS[request.param](tmp_path_factory.mktemp('bags') / 'whole')


def held(bag: Path) -> Held:
    """By the reader of the rosbags library, which needs metadata.yaml and the index."""
    with Reader(bag) as reader:
        found = [(c.topic, c.msgtype, time, bytes(data)) for c, time, data in reader.messages()]
        assert len(found) == reader.message_count
        assert all(c.msgdef.data for c in reader.connections)
    return found


@pytest.mark.slow
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0, 1))
def test_cut_off_anywhere(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.mktemp('cut')
    kept = whole.read_bytes()[: int(share * whole.stat().st_size)]
    (folder / 'bag').mkdir()
    file = folder / 'bag' / whole.name
    file.write_bytes(kept)
    try:
        found = repair(folder / 'bag', folder / 'new')
    except ValueError as error:
        assert 'no whole message' in str(error)
        assert [entry.name for entry in folder.iterdir()] == ['bag']
        assert not read(file)[0]
    else:
        messages = held(folder / 'new')
        assert messages == SENT[: len(messages)]
        assert found.contents.messages == len(messages) > 0
        known = sum(topic == '/transition' for topic, *_ in messages)
        assert len(list(BagReader([folder / 'new'], TASK))) == known
        # Reading a sqlite3 file that ends too early may miss its last row.
        assert 0 <= known - len(read(file)[0]) <= (file.suffix == '.db3')
        assert len(messages) == len(SENT) or found.notes
        assert sorted(entry.name for entry in folder.iterdir()) == ['bag', 'new']
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == kept
    shutil.rmtree(folder)


def test_nothing_but_the_index_is_new(whole: Path, tmp_path: Path) -> None:
    found = repair(whole.parent, tmp_path / 'new')
    assert found.notes == []
    assert 'nothing was lost' in found.describe()
    assert held(tmp_path / 'new') == SENT
    assert [file.name for file in (tmp_path / 'new').iterdir() if file.suffix == whole.suffix] == [
        whole.name
    ]


def summary(file: Path) -> Any:
    with file.open('rb') as stream:
        return make_reader(stream).get_summary()


@pytest.mark.parametrize('compression', CompressionType)
def test_of_an_mcap_file_all_but_its_numbers_stays(
    tmp_path: Path, compression: CompressionType
) -> None:
    """Publish times, sequence numbers, definitions, QoS and type hash; chunks as packed before."""
    file = by_mcap(tmp_path / 'bag', compression)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    repair(file, tmp_path / 'new')
    new = tmp_path / 'new' / file.name
    with new.open('rb') as stream:
        read = list(make_reader(stream, validate_crcs=True).iter_messages(log_time_order=False))
    assert 10 < len(read) < len(SENT)
    for (schema, channel, message), (topic, kind, time, data) in zip(read, SENT, strict=False):
        assert (channel.topic, schema.name, schema.encoding) == (topic, kind, 'ros2msg')
        assert schema.data.decode() == STORE.generate_msgdef(kind, ros_version=2)[0]
        assert channel.metadata == {
            'offered_qos_profiles': yaml.safe_dump(QOS), 'topic_type_hash': 'RIHS01_x'
        }  # fmt: skip
        assert (message.log_time, message.publish_time) == (time, time - 5)
        assert (message.sequence, message.data) == (len(data), data)
    packed = {chunk.compression for chunk in summary(new).chunk_indexes}
    assert packed == {compression.name.lower().replace('none', '')}
    said = yaml.safe_load((tmp_path / 'new' / 'metadata.yaml').read_text())
    information = said['rosbag2_bagfile_information']
    assert information['version'] == 9  # the one that writes QoS in words
    for topic in information['topics_with_message_count']:
        assert topic['topic_metadata']['offered_qos_profiles'] == QOS
        assert topic['topic_metadata']['type_description_hash'] == 'RIHS01_x'
    assert information['message_count'] == len(read)
    assert information['starting_time']['nanoseconds_since_epoch'] == SENT[0][2]
    assert information['duration']['nanoseconds'] == SENT[len(read) - 1][2] - SENT[0][2]


def rows(file: Path, table: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(file)
    found = database.execute(f'SELECT * FROM {table}').fetchall()
    database.close()
    return found


def test_of_a_sqlite_file_all_rows_stay(tmp_path: Path) -> None:
    """With what its writer had not yet moved into it, and without what it had not finished."""
    file = by_sqlite(tmp_path / 'bag')
    left = unmoved(file, tmp_path / 'left').parent
    before = {entry.name: entry.read_bytes() for entry in left.iterdir()}
    found = repair(left, tmp_path / 'new')
    assert {entry.name: entry.read_bytes() for entry in left.iterdir()} == before
    assert held(tmp_path / 'new') == SENT[:30]
    assert "' was left unfinished" in found.notes[0]
    assert found.notes[1] == f'{len(SENT) - 30} messages that metadata.yaml counted are lost'
    new = tmp_path / 'new' / file.name
    for table in ('schema', 'topics', 'message_definitions', 'messages'):
        assert rows(new, table) == rows(left / file.name, table)
    ((_, version, text),) = rows(new, 'metadata')
    assert version == yaml.safe_load(text)['version'] == 8
    assert yaml.safe_load(text)['message_count'] == 30
    assert sqlite3.connect(new).execute('PRAGMA integrity_check').fetchall() == [('ok',)]


def test_files_of_a_split_bag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One in the middle is empty, and the last was cut off."""
    bag = Recorder(tmp_path / 'bag', max_size=20_000)
    bag.add_topic('/transition', ARRAY, [])
    messages = transition_messages(drive(20, 10))
    for topic, _, time, data in messages:
        bag.write(topic, time, data)
    bag.close()
    files = sorted((tmp_path / 'bag').glob('*.mcap'), key=lambda f: int(f.stem.split('_')[1]))
    assert len(files) > 3
    counts = [summary(file).statistics.message_count for file in files]
    files[1].write_bytes(b'')
    files[-1].write_bytes(files[-1].read_bytes()[:-20])
    assert main(['repair', str(tmp_path / 'bag'), '--out', str(tmp_path / 'a' / 'new')]) == 0
    said = capsys.readouterr().out
    assert held(tmp_path / 'a' / 'new') == messages[: counts[0]] + messages[sum(counts[:2]) :]
    kept = len(messages) - counts[1]
    assert said.startswith(f'kept {kept} messages in {len(files) - 1} files, ')
    assert f'  /transition  {kept}\n' in said
    assert f"'{files[1]}' holds no whole message: left out" in said
    assert f'{counts[1]} messages that metadata.yaml counted are lost' in said
    names = {entry.name for entry in (tmp_path / 'a' / 'new').iterdir()}
    assert names == {'metadata.yaml', *(f.name for f in files if f != files[1])}


def test_messages_packed_one_by_one(tmp_path: Path) -> None:
    packed = (CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    bag = write_bag(tmp_path / 'bag', SENT, compression=packed)
    (file,) = bag.glob('*.mcap')
    file.write_bytes(file.read_bytes()[:-10])
    repair(bag, tmp_path / 'new')
    assert held(tmp_path / 'new') == SENT


def refused(bag: Path, out: Path) -> str:
    with pytest.raises(ValueError) as caught:
        repair(bag, out)
    return str(caught.value)


def test_what_cannot_be_repaired_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = by_sqlite(tmp_path / 'bags' / 'one').parent
    out = tmp_path / 'new'
    out.mkdir()
    assert main(['repair', str(bag), '--out', str(out)]) == 2
    assert f"'{out}' exists already" in capsys.readouterr().err
    out.rmdir()
    assert 'stays as it is' in refused(bag, bag / 'new')
    assert 'there is no' in refused(tmp_path / 'nowhere', out)
    by_mcap(tmp_path / 'bags' / 'two')
    assert 'holds 2 bags; name one' in refused(tmp_path / 'bags', out)
    shutil.copy(tmp_path / 'bags' / 'two' / 'some_name_3.mcap', bag)
    assert 'both .mcap and .db3' in refused(bag, out)
    (tmp_path / 'text.mcap').write_text('no bag at all')
    (tmp_path / 'text.db3').write_text('no bag at all')
    for name in ('text.mcap', 'text.db3'):
        assert 'no whole message' in refused(tmp_path / name, out)
    assert not out.exists()


@pytest.mark.parametrize('error', [OSError('the disk is full'), KeyboardInterrupt()])
def test_half_of_a_new_bag_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    file = by_mcap(tmp_path / 'bag')

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(repair_module.os, 'fsync', fail)  # the last step but the rename
    with pytest.raises(type(error)):
        repair(file, tmp_path / 'new')
    assert [entry.name for entry in tmp_path.iterdir()] == ['bag']
