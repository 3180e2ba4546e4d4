# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of any type: by the definition that their bag carries, else by ROS 2's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from loop_ros.bags.cdr import Buffer
from loop_ros.bags.channel import Definition

# Cars are driven by these, and bags before Iron carry no definitions.
_ACKERMANN = {
    'ackermann_msgs/msg/AckermannDrive': 'float32 steering_angle\n'
    'float32 steering_angle_velocity\nfloat32 speed\nfloat32 acceleration\nfloat32 jerk\n',
    'ackermann_msgs/msg/AckermannDriveStamped': 'std_msgs/Header header\n'
    'ackermann_msgs/AckermannDrive drive\n',
}


def reader(kind: str, definition: Definition | None) -> Callable[[Buffer], Any]:
    """What makes a message of serialized bytes; it has the attributes that rclpy's would have.

    ValueError for a type that neither the bag nor ROS 2 defines; what is made raises it for bytes
    that are no such message.
    """
    store = _defined(kind, definition) if definition and definition.text.strip() else _known()
    if kind not in store.types:
        raise ValueError(
            f'{kind} is not defined in the bag, and none of the types that are known without; '
            'record it with rosbag2 of Iron or newer, as MCAP'
        )

    def read(data: Buffer) -> Any:
        try:
            return store.deserialize_cdr(bytes(data), kind)
        except Exception as error:  # whatever arbitrary bytes make a deserialiser say
            raise ValueError(f'no {kind}: {error}') from None

    return read


def _known() -> Typestore:
    store = get_typestore(Stores.ROS2_JAZZY)
    for kind, text in _ACKERMANN.items():
        store.register(get_types_from_msg(text, kind))
    return store


def _defined(kind: str, definition: Definition) -> Typestore:
    """Only this type and what it is made of, so that no other version of either is in the way."""
    store = get_typestore(Stores.EMPTY)
    try:
        if definition.encoding == 'ros2idl':
            store.register(get_types_from_idl(definition.text))
        elif definition.encoding == 'ros2msg':
            store.register(get_types_from_msg(definition.text, kind))
        else:
            raise ValueError(f'it is in {definition.encoding!r}')
    except (TypesysError, ValueError) as error:
        raise ValueError(f'the definition of {kind} in the bag cannot be read: {error}') from None
    return store
