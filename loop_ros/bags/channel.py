# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every kind of bag file is read into."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from loop_ros.bags.cdr import Buffer


class Channel(NamedTuple):
    """A topic and its type, as 'std_msgs/msg/String'."""

    topic: str
    kind: str


class Definition(NamedTuple):
    """How a bag defines one of its types, with those that it is made of."""

    encoding: str  # 'ros2msg' or 'ros2idl'
    text: str


Burst = dict[Channel, list[tuple[int, Buffer]]]  # messages with their time of receipt, ns
Damage = Callable[[str], None]  # takes what is wrong with a file


def absolute(topic: str) -> str:
    """A topic's name as bags have it."""
    return topic if topic.startswith('/') else f'/{topic}'
