# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag info` and `play` of bags of others: single files, compressed or unfinished ones."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from bag_files import ARRAY, SECOND, Message, write_bag
from domains import free_domain
from packed_bags import SENT, TABLE, made
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from standalone_cli import interrupt, read_until, ros2, start

from ros2_standalone.bag_info import show
from ros2_standalone.bag_reader import messages, open_bag
from ros2_standalone.errors import Ros2Error

WHOLE = ('whole', 'split', 'no metadata')


def played(bag: Path) -> list[Message]:
    """What `ros2 bag play` publishes."""
    with open_bag(str(bag)) as opened:
        found = messages(opened, str(bag), opened.connections)
        return [(c.topic, c.msgtype, time, bytes(data)) for c, time, data in found]


@pytest.mark.parametrize(('compression', 'storage', 'state'), TABLE)
def test_a_bag(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    compression: str,
    storage: str,
    state: str,
) -> None:
    bag = made(tmp_path / 'bag', compression, storage, state)
    files = sorted(file.name for file in bag.iterdir() if file.name != 'metadata.yaml')
    assert show(str(bag)) == 0
    out, err = capsys.readouterr()
    assert re.findall(r'bag_\d\.\S+', out) == files
    assert f'Storage id:        {storage}\n' in out
    count = int(re.findall(r'Messages: +(\d+)', out)[0])
    assert f'Topic: /transition | Type: {ARRAY} | Count: {count} |' in out
    if state in WHOLE:
        assert count == len(SENT)
        assert played(bag) == SENT
        assert not err or (state == 'no metadata' and 'it has no metadata.yaml' in err)
        return
    assert len(SENT) / 4 < count
    assert count == len(SENT) or (f"[WARN] the bag '{bag}'" in err and "'loop-ros repair'" in err)
    try:
        found = played(bag)
    except Ros2Error as error:  # what its index does not say
        assert f"the bag '{bag}' is damaged" in str(error)
        assert "'loop-ros repair'" in str(error)
        return
    assert len(found) == count
    assert len(set(found) - set(SENT)) <= 2 * (storage == 'sqlite3' and state == 'damaged')


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
@pytest.mark.parametrize('compression', ['none', 'file'])
def test_a_renamed_file_is_called_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str, compression: str
) -> None:
    bag = made(tmp_path / 'bag', compression, storage, 'whole')
    (file,) = bag.glob('bag_0.*')
    file.rename(bag / file.name.replace('bag_0', 'monday_0'))
    assert played(bag) == SENT
    error = capsys.readouterr().err
    assert f'has files of other names than its metadata.yaml says ({file.name})' in error
    assert 'unfinished' not in error


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
@pytest.mark.parametrize('compression', ['none', 'file', 'message'])
def test_a_file_of_a_folder_is_that_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str, compression: str
) -> None:
    bag = made(tmp_path / 'bag', compression, storage, 'split')
    (bag / 'metadata.yaml').unlink()
    (file,) = bag.glob('bag_1.*')
    assert played(file) == SENT[200:400]
    capsys.readouterr()
    assert show(str(file)) == 0
    out = capsys.readouterr().out
    assert f'Files:             {file.name}\n' in out
    assert 'Messages:          200\n' in out


def test_what_metadata_counts_wrongly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = write_bag(tmp_path / 'bag', SENT)
    said = yaml.safe_load((bag / 'metadata.yaml').read_text())
    found = said['rosbag2_bagfile_information']
    found |= {'message_count': 0, 'topics_with_message_count': []}
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(said))
    assert show(str(bag)) == 0
    out, err = capsys.readouterr()
    assert f'Messages:          {len(SENT)}\n' in out
    assert f'it holds {len(SENT)} messages, 0 by metadata.yaml' in err


@pytest.mark.parametrize('keep', [True, False])
def test_a_file_that_somebody_unpacked(tmp_path: Path, keep: bool) -> None:
    bag = made(tmp_path / 'bag', 'file', 'sqlite3', 'whole')
    (packed,) = bag.glob('*.zstd')
    made(tmp_path / 'other', 'none', 'sqlite3', 'whole')
    shutil.copy(tmp_path / 'other' / 'bag_0.db3', bag)
    if not keep:
        packed.unlink()
    assert played(bag) == SENT


def test_nothing_to_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / 'bag.db3').write_bytes(b'no bag at all')
    for path in (tmp_path, tmp_path / 'bag.db3'):
        with pytest.raises(Ros2Error, match=f"cannot read the bag '{path}': there is no whole"):
            played(path)


@pytest.mark.slow
def test_a_type_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and the rest is played."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg('float32 x', 'nowhere_msgs/msg/Slip'))
    slip = store.serialize_cdr(store.types['nowhere_msgs/msg/Slip'](1.0), 'nowhere_msgs/msg/Slip')
    with Writer(tmp_path / 'bag', version=8) as writer:
        known = writer.add_connection('/transition', ARRAY, typestore=store)
        unknown = writer.add_connection('/slip', 'nowhere_msgs/msg/Slip', typestore=store)
        for number in range(20):
            writer.write(unknown, number * SECOND // 10, slip)
            writer.write(known, number * SECOND // 10, SENT[number][3])
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    recorder = start('bag', 'record', '-o', tmp_path / 'again', '-a')
    read_until(recorder, 'Listening')
    play = ros2('bag', 'play', tmp_path / 'bag', '-d', '2')
    interrupt(recorder)
    assert play.returncode == 0
    assert "[WARN] '/slip' is not played: the package of 'nowhere_msgs/msg/Slip' is" in play.stderr
    with Reader(tmp_path / 'again') as reader:
        played = [bytes(data) for c, _, data in reader.messages() if c.topic == '/transition']
    assert played == [data for *_, data in SENT[:20]]
    alone = ros2('bag', 'play', tmp_path / 'bag', '--topics', '/slip')
    assert alone.returncode == 1
    assert 'pip install ros-jazzy-nowhere-msgs' in alone.stderr
