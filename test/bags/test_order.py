# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages are read by the time of their receipt, in whatever order a file has them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from bag_files import (
    JOINTS,
    ODOMETRY,
    SECOND,
    TASK,
    Message,
    command,
    drive,
    odometry,
    same,
    transition_messages,
    write_bag,
)
from packed_bags import write_mcap

from loop_ros.bags.reader import BagReader
from loop_ros.types import Transition

PERIOD = round(TASK.control_period * SECOND)
DRIVEN = drive(1, 300)


def raw() -> list[Message]:
    found: list[Message] = []
    for step, t in enumerate(DRIVEN):
        stamp = SECOND + step * PERIOD
        found.append(('/odom', ODOMETRY, stamp, odometry(t.observation, stamp)))
        found.append(('/command', JOINTS, stamp + 1000, command(t.action, stamp)))
    return found


def shuffled(messages: list[Message]) -> list[Message]:
    return random.Random(0).sample(messages, len(messages))


ORDERS: dict[str, Callable[[list[Message]], list[Message]]] = {
    'topic after topic': lambda messages: sorted(messages),
    'backwards': lambda messages: messages[::-1],
    'shuffled': shuffled,
    'halves swapped': lambda messages: messages[300:] + messages[:300],
}


def written(folder: Path, form: str, messages: list[Message]) -> Path:
    if form == 'sqlite3':
        return write_bag(folder / 'bag', messages, sqlite=True)
    write_mcap(folder / 'bag.mcap', messages, chunked=form == 'chunks')
    return folder / 'bag.mcap'


def read(bag: Path) -> tuple[list[Transition], BagReader]:
    reader = BagReader([bag], TASK)
    return list(reader), reader


@pytest.mark.parametrize('form', ['chunks', 'no chunks', 'sqlite3'])
@pytest.mark.parametrize('order', ORDERS)
def test_any_order_in_the_file(tmp_path: Path, form: str, order: str) -> None:
    found, reader = read(written(tmp_path, form, ORDERS[order](raw())))
    assert len(found) == len(DRIVEN) - 1
    assert not reader.summary.dropped
    assert reader.summary.episodes == 1
    for t, before, after in zip(found, DRIVEN, DRIVEN[1:], strict=False):
        assert t.observation == pytest.approx(before.observation)
        assert t.next_observation == pytest.approx(after.observation)


@pytest.mark.parametrize('form', ['chunks', 'no chunks', 'sqlite3'])
def test_recorded_transitions_in_any_order(tmp_path: Path, form: str) -> None:
    found, reader = read(written(tmp_path, form, shuffled(transition_messages(DRIVEN))))
    assert all(map(same, found, DRIVEN))
    assert len(found) == len(DRIVEN)
    assert not reader.summary.closed
