# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of types that are not installed read by the definitions in their bag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_files import SECOND, STORE, header
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from source_tree import TREE

from loop_ros.bags import messages
from loop_ros.bags.channel import Definition
from loop_ros.bags.storage import Bag, find_bags

KIND = 'my_msgs/msg/Slip'
TURTLES = TREE.parent / 'shared/data/bags/turtlesim'
FORMS: dict[str, dict[str, Any]] = {
    'mcap': {'storage_plugin': StoragePlugin.MCAP},
    'sqlite': {'storage_plugin': StoragePlugin.SQLITE3},
    'compressed': {
        'storage_plugin': StoragePlugin.SQLITE3,
        'compression': (CompressionMode.MESSAGE, CompressionFormat.ZSTD),
    },
}


def write(path: Path, compression: Any = None, **options: Any) -> Bag:
    """Ten messages of a type that nobody knows."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg('std_msgs/Header header\nfloat32[4] wheels\n', KIND))
    writer = Writer(path, version=8, **options)
    if compression:
        writer.set_compression(*compression)
    with writer:
        topic = writer.add_connection('/slip', KIND, typestore=store)
        for number in range(10):
            slip = store.types[KIND](header(number), np.array([0, 0.5, 1, number], 'f4'))
            writer.write(topic, number * SECOND, store.serialize_cdr(slip, KIND))
    return find_bags([path])[0]


def read(bag: Bag, kind: str) -> list[Any]:
    with bag.opened() as opened:
        parse = messages.reader(kind, opened.definitions([kind]).get(kind))
        bursts = opened.bursts(lambda channel: channel.kind == kind)
        return [parse(data) for burst in bursts for found in burst.values() for _, data in found]


@pytest.mark.parametrize('form', FORMS)
def test_a_type_of_ones_own(tmp_path: Path, form: str) -> None:
    found = read(write(tmp_path / 'bag', **FORMS[form]), KIND)
    assert [message.wheels[3] for message in found] == list(range(10))
    assert found[7].header.stamp.nanosec == 7


@pytest.mark.skipif(not TURTLES.is_dir(), reason='needs the recordings in shared/data')
def test_a_recorded_turtle() -> None:
    found = read(find_bags([TURTLES])[0], 'turtlesim/msg/Pose')
    assert len(found) == 2501
    assert found[0].theta == pytest.approx(2.891185)


def test_an_ackermann_car_without_definitions() -> None:
    """As bags of Humble hold no definitions."""
    kind = 'ackermann_msgs/msg/AckermannDriveStamped'
    store = messages._known()
    drive = store.types['ackermann_msgs/msg/AckermannDrive'](0.3, 0.0, 2.5, 0.0, 0.0)
    data = bytes(store.serialize_cdr(store.types[kind](header(5), drive), kind))
    assert messages.reader(kind, None)(data).drive.speed == 2.5


@pytest.mark.parametrize(
    ('definition', 'words'),
    [
        (None, 'is not defined in the bag'),
        (Definition('ros2msg', ''), 'is not defined in the bag'),
        (Definition('ros2msg', 'float32[ x'), 'cannot be read'),
        (Definition('protobuf', '\x08\x01'), "in 'protobuf'"),
    ],
)
def test_what_cannot_be_read_is_named(definition: Definition | None, words: str) -> None:
    with pytest.raises(ValueError, match=words) as found:
        messages.reader(KIND, definition)
    assert KIND in str(found.value)


def test_bytes_of_another_type_are_an_error() -> None:
    parse = messages.reader('nav_msgs/msg/Odometry', None)
    with pytest.raises(ValueError, match='no nav_msgs/msg/Odometry'):
        parse(bytes(STORE.serialize_cdr(header(1), 'std_msgs/msg/Header')))
