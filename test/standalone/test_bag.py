# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag`: what is recorded is there after a kill, and comes out as it went in."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from domains import free_domain
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from standalone_cli import (
    interrupt,
    read_until,
    ros2,
    start,
    talking,
    wait_until,
)

from ros2_standalone.bag_reader import open_bag
from ros2_standalone.bag_writer import BagWriter
from ros2_standalone.durable_mcap import DurableMcap

pytestmark = pytest.mark.slow
STORE = get_typestore(Stores.ROS2_JAZZY)
STRING = 'std_msgs/msg/String'


def text_message(text: str) -> bytes:
    message = STORE.types[STRING](data=text)
    return bytes(STORE.serialize_cdr(message, STRING))


def contents(bag: Path) -> dict[str, list[Any]]:
    """Read a bag with rosbags: messages by topic."""
    found: dict[str, list[Any]] = {}
    with Reader(bag) as reader:
        for connection, _, data in reader.messages():
            message = STORE.deserialize_cdr(data, connection.msgtype)
            found.setdefault(connection.topic, []).append(message)
    return found


@pytest.fixture(scope='module')
def talker() -> Iterator[None]:
    with talking():
        yield


@pytest.fixture(scope='module')
def bag(talker: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of `odom`, `chatter`, `latched`, and `late`, which begins during the recording."""
    path = tmp_path_factory.mktemp('bags') / 'drive'
    topics = ['/odom', 'chatter', '/latched', '/late']
    process = start('bag', 'record', '-s', 'mcap', '-o', path, '--topics', *topics)
    for _ in range(3):
        read_until(process, 'Subscribed to topic')
    assert (
        ros2('service', 'call', '/toggle', 'std_srvs/srv/SetBool', '{data: true}').returncode == 0
    )
    read_until(process, "Subscribed to topic '/late'")
    time.sleep(1.0)
    output = interrupt(process)
    assert process.returncode == 0
    assert f"messages to '{path}'" in output
    return path


def test_recorded(bag: Path) -> None:
    found = contents(bag)
    assert set(found) == {'/odom', '/chatter', '/latched', '/late'}
    assert [message.data for message in found['/latched']] == ['once']
    numbers = [int(message.data.split()[1]) for message in found['/chatter']]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    positions = [message.pose.pose.position.x for message in found['/odom']]
    assert positions == sorted(positions)
    assert len(positions) > 20
    assert len(found['/late']) > 10
    assert len(found['/late'][0].data) == 1


def test_recorded_qos_is_the_publishers(bag: Path) -> None:
    information = yaml.safe_load((bag / 'metadata.yaml').read_text())
    topics = information['rosbag2_bagfile_information']['topics_with_message_count']
    offered = {
        t['topic_metadata']['name']: t['topic_metadata']['offered_qos_profiles'][0] for t in topics
    }
    assert offered['/odom']['reliability'] == 'best_effort'
    assert offered['/chatter']['reliability'] == 'reliable'
    assert offered['/latched']['durability'] == 'transient_local'


def test_info(bag: Path) -> None:
    result = ros2('bag', 'info', bag)
    count = len(contents(bag)['/chatter'])
    assert result.returncode == 0
    assert 'Storage id:        mcap\n' in result.stdout
    line = f'Topic: /chatter | Type: {STRING} | Count: {count} | Serialization Format: cdr\n'
    assert line in result.stdout


def test_play(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))  # the talker is not there
    again = tmp_path / 'again'
    recorder = start('bag', 'record', '-o', again, '-a')
    read_until(recorder, 'Listening')
    started = time.monotonic()
    play = ros2('bag', 'play', bag, '--rate', '2', '--clock', '50', '-d', '4')
    elapsed = time.monotonic() - started
    assert play.returncode == 0, play.stderr
    interrupt(recorder)
    with Reader(bag) as reader:
        duration = reader.duration / 1e9
    assert elapsed > 4.0 + duration / 2 - 0.1
    before, after = contents(bag), contents(again)
    for topic in ('/chatter', '/late', '/latched'):  # the reliable ones
        assert after[topic] == before[topic] or topic == '/late'
    assert len(after['/late']) == len(before['/late'])
    stamps = [message.clock.sec + message.clock.nanosec * 1e-9 for message in after['/clock']]
    assert stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] == pytest.approx(duration, abs=0.3)


def test_killed_recorder_leaves_a_readable_bag(talker: None, tmp_path: Path) -> None:
    path = tmp_path / 'killed'
    process = start('bag', 'record', '-a', '-o', path)
    read_until(process, "Subscribed to topic '/chatter'")
    begin = time.monotonic()
    time.sleep(2.5)
    process.kill()
    recorded_for = time.monotonic() - begin
    process.communicate(timeout=10)
    messages = contents(path)['/chatter']
    assert len(messages) >= (recorded_for - 1.0) * 20 * 0.8
    assert ros2('bag', 'info', path).returncode == 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['record'], 'give either the topics to record or -a'),
        (['record', '-a', '/odom'], 'give either the topics to record or -a'),
        (['record', '-a', '-o', '.'], "the bag '.' exists already"),
        (['record', '-a', '-s', 'sqlite3'], "invalid choice: 'sqlite3'"),
        (['info', 'no_such_bag'], "the bag 'no_such_bag' does not exist"),
        (['info', '.'], "cannot read the bag '.'"),
        (['play', '.', '--rate', '0'], '--rate is 0'),
    ],
)
def test_mistakes(arguments: list[str], message: str) -> None:
    result = ros2('bag', *arguments)
    assert result.returncode in (1, 2)
    assert message in result.stderr


def test_play_of_a_topic_that_is_not_there(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / 'bag')
    writer.add_topic('/a', STRING, [])
    writer.close()
    result = ros2('bag', 'play', tmp_path / 'bag', '--topics', '/b')
    assert result.returncode == 1
    assert "no topic '/b' in the bag (topics: /a)" in result.stderr
    assert 'Messages:          0' in ros2('bag', 'info', tmp_path / 'bag').stdout


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(['/a', '/b']),
            st.integers(0, 2**62),
            st.text(max_size=50),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_bag_is_complete_after_every_flush(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, int, str, bool]]
) -> None:
    path = tmp_path_factory.mktemp('bags') / 'bag'
    writer = BagWriter(path)
    on_disk: list[tuple[str, int, str]] = []
    pending: list[tuple[str, int, str]] = []
    known = set()
    for topic, stamp, text, flush in written:
        if topic not in known:
            writer.add_topic(topic, STRING, [])
            known.add(topic)
        writer.write(topic, stamp, text_message(text))
        pending.append((topic, stamp, text))
        if flush:
            writer.flush()
            on_disk, pending = on_disk + pending, []
            assert read_with_mcap(path) == sorted(on_disk)
    writer.close()
    assert read_with_mcap(path) == sorted(on_disk + pending)
    with Reader(path) as reader:
        assert reader.message_count == len(written)
        assert sum(1 for _ in reader.messages()) == len(written)


def read_with_mcap(path: Path) -> list[tuple[str, int, str]]:
    """Read with the mcap library, checksums and all: topic, time, text."""
    (file,) = path.glob('*.mcap')
    with file.open('rb') as stream:
        return sorted(
            (channel.topic, message.log_time, STORE.deserialize_cdr(message.data, STRING).data)
            for _, channel, message in make_reader(stream, validate_crcs=True).iter_messages()
        )


def test_large_messages_are_written_without_waiting(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / 'bag')
    writer.add_topic('/a', STRING, [])
    size = (tmp_path / 'bag/bag_0.mcap').stat().st_size
    writer.write('/a', 1, text_message('x' * 5_000_000))
    assert (tmp_path / 'bag/bag_0.mcap').stat().st_size > size + 5_000_000


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / 'x.mcap').write_bytes(b'kept')
    with pytest.raises(FileExistsError):
        DurableMcap(tmp_path / 'x.mcap', 'test')
    assert (tmp_path / 'x.mcap').read_bytes() == b'kept'


def test_recorder_ends_on_sigterm(tmp_path: Path) -> None:
    process = start('bag', 'record', '-a', '-o', tmp_path / 'bag')
    read_until(process, 'Listening')
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: process.poll() == 0)
    assert (tmp_path / 'bag/metadata.yaml').is_file()
    process.communicate()


def written(path: Path, count: int, **limits: Any) -> Path:
    """A bag of `count` messages on two topics, a tenth of a second apart."""
    writer = BagWriter(path, **limits)
    writer.add_topic('/a', STRING, [])
    writer.add_topic('/b', STRING, [])
    for number in range(count):
        writer.write(
            '/a' if number % 2 == 0 else '/b', 10**9 + number * 10**8, text_message(f'{number}')
        )
        writer.flush()
    writer.close()
    return path


@pytest.mark.parametrize('limits', [{'max_size': 1500}, {'max_duration': 0.5}])
def test_split(tmp_path: Path, limits: dict[str, Any]) -> None:
    path = written(tmp_path / 'bag', 20, **limits)
    information = yaml.safe_load((path / 'metadata.yaml').read_text())
    information = information['rosbag2_bagfile_information']
    names = [file['path'] for file in information['files']]
    assert names == [f'bag_{i}.mcap' for i in range(len(names))]
    assert names == information['relative_file_paths']
    assert len(names) == 4 if 'max_duration' in limits else len(names) > 2
    assert sum(file['message_count'] for file in information['files']) == 20
    assert information['message_count'] == 20
    assert information['duration']['nanoseconds'] == 19 * 10**8
    found = contents(path)
    assert [int(m.data) for m in found['/a']] == list(range(0, 20, 2))
    assert [int(m.data) for m in found['/b']] == list(range(1, 20, 2))
    if 'max_duration' in limits:
        assert [file['message_count'] for file in information['files']] == [5, 5, 5, 5]
        assert information['files'][1]['starting_time']['nanoseconds_since_epoch'] == 15 * 10**8


def test_a_bag_that_was_left_unfinished_is_mended_in_a_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / 'bag', 20, max_duration=1.0)
    last = path / 'bag_1.mcap'
    whole = last.read_bytes()
    for lost in (8, 20, len(whole) // 2, len(whole) - 4):
        last.write_bytes(whole[:-lost])
        with open_bag(str(path)) as bag:
            texts = [int(STORE.deserialize_cdr(data, STRING).data) for _, _, data in bag.messages()]
        assert texts == list(range(len(texts)))
        assert 10 <= len(texts) <= 20
        assert f'continuing with the {len(texts)} messages' in capsys.readouterr().err
        assert last.read_bytes() == whole[:-lost]
    (path / 'metadata.yaml').unlink()
    with open_bag(str(path)) as bag:
        assert {c.topic: c.msgtype for c in bag.connections} == {'/a': STRING, '/b': STRING}
