# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions out of bags: each as it was recorded, once, in episodes without gaps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bag_files import (
    ARRAY,
    SECOND,
    TASK,
    cdr,
    drive,
    labelled,
    numbers,
    same,
    transition_bytes,
    transition_messages,
    write_bag,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader

from loop_ros.bags.episodes import Seen
from loop_ros.bags.reader import BagReader
from loop_ros.bags.writer import BagWriter
from loop_ros.layout import transition_layout
from loop_ros.learning.transitions import encode
from loop_ros.sim import registry
from loop_ros.types import Rows, Transition

MODE, ZSTD = CompressionMode, CompressionFormat.ZSTD
FORMS: dict[str, dict[str, Any]] = {
    'mcap': {},
    'sqlite3': {'sqlite': True},
    'mcap, chunks compressed': {'compression': (MODE.STORAGE, ZSTD)},
    'mcap, file compressed': {'compression': (MODE.FILE, ZSTD)},
    'sqlite3, messages compressed': {'sqlite': True, 'compression': (MODE.MESSAGE, ZSTD)},
}


def read(*paths: Path, **options: Any) -> tuple[list[Transition], BagReader]:
    reader = BagReader(paths, TASK, **options)
    return list(reader), reader


def assert_same(found: list[Transition], wanted: list[Transition], *ignored: str) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert same(a, b, *ignored), (a, b)


@pytest.mark.parametrize('form', FORMS)
def test_what_was_recorded_comes_back(tmp_path: Path, form: str) -> None:
    wanted = drive()
    bag = write_bag(tmp_path / 'bag', transition_messages(wanted), **FORMS[form])
    found, reader = read(bag)
    assert_same(found, wanted)
    assert reader.summary.describe() == '15 transitions in 3 episodes from 1 bag (1 file)'


@pytest.mark.parametrize('name', ['drift_car', 'PointGoal1', 'Humanoid'])
def test_what_the_writer_writes_comes_back(tmp_path: Path, name: str) -> None:
    task = registry.task(name)
    wanted = drive(2, 4, task=task)
    with BagWriter(tmp_path / 'bag', task, start_ns=5 * SECOND) as bag:
        for transition in wanted:
            bag.write(transition)
    assert_same(list(BagReader([tmp_path / 'bag'], task)), wanted)
    with Reader(tmp_path / 'bag') as reader:
        assert [c.topic for c in reader.connections] == ['/transition']
        assert reader.start_time == 5 * SECOND
        assert reader.message_count == 8
    with pytest.raises(ValueError, match='exists already'):
        BagWriter(tmp_path / 'bag', task)


def test_rows_go_round(tmp_path: Path) -> None:
    wanted = drive(4, 6)
    with BagWriter(tmp_path / 'a', TASK) as bag:
        for transition in wanted:
            bag.write(transition)
    rows = list(BagReader([tmp_path / 'a'], TASK).batches(7))
    assert [r.size for r in rows] == [7, 7, 7, 3]
    with BagWriter(tmp_path / 'b', TASK) as bag:
        for part in rows:
            bag.write_rows(part)
    found, _ = read(tmp_path / 'b')
    assert_same(found, wanted)
    batch = encode(rows[0], TASK)
    first = torch.from_numpy(wanted[2].observation)
    torch.testing.assert_close(batch.state[2], TASK.encode(first).float())
    assert batch.action[2].numpy() == pytest.approx(TASK.normalize_action(wanted[2].action))


def test_a_wrong_length_is_refused(tmp_path: Path) -> None:
    with (
        BagWriter(tmp_path / 'bag', TASK) as bag,
        pytest.raises(ValueError, match='20 numbers a transition, expected 21'),
    ):
        bag.write(dataclasses.replace(drive()[0], action=np.zeros(1)))


@pytest.mark.parametrize(
    'data',
    [
        transition_bytes(drive()[1], little_endian=False),
        cdr(labelled(numbers(drive()[1]), transition_layout(TASK).fields, stride=1), ARRAY),
        cdr(labelled(numbers(drive()[1]), transition_layout(TASK).fields, unused=3), ARRAY),
        transition_bytes(drive()[1])[:2] + b'\x01\x02' + transition_bytes(drive()[1])[4:],
        transition_bytes(drive()[1]) + b'\0\0\0',
    ],
    ids=['big endian', 'other stride', 'data offset', 'options', 'padding'],
)
def test_other_ways_to_write_the_same(tmp_path: Path, data: bytes) -> None:
    wanted = drive()
    messages = transition_messages(wanted)
    messages[1] = (*messages[1][:3], data)
    found, reader = read(write_bag(tmp_path / 'bag', messages))
    assert_same(found, wanted)
    assert not reader.summary.dropped


def changed(index: int, **fields: Any) -> list[Transition]:
    transitions = drive()
    transitions[index] = dataclasses.replace(transitions[index], **fields)
    return transitions


def with_data(index: int, data: bytes) -> list[Any]:
    messages = transition_messages(drive())
    messages[index] = (*messages[index][:3], data)
    return messages


NAN, INFINITY = float('nan'), float('inf')
OTHER = [('stamp', 1), ('speed', 20)]
BAD: dict[str, tuple[list[Any], str]] = {
    'NaN': (transition_messages(changed(7, reward=NAN)), 'not finite 1'),
    'infinite': (transition_messages(changed(7, action=np.array([INFINITY, 0]))), 'not finite 1'),
    'no whole step': (transition_messages(changed(7, step=1.5)), 'broken 1'),
    'negative': (transition_messages(changed(7, episode=-1)), 'broken 1'),
    'no flag': (transition_messages(changed(7, terminated=0.5)), 'broken 1'),
    'too short': (with_data(7, transition_bytes(drive()[7])[:-8]), 'broken 1'),
    'too long': (with_data(7, transition_bytes(drive()[7]) + bytes(8)), 'broken 1'),
    'no message': (with_data(7, b'\x00\x01\x00\x00\xff\xff\xff\xff'), 'broken 1'),
    'empty': (with_data(7, b''), 'broken 1'),
    'labels': (with_data(7, cdr(labelled(np.zeros(21), OTHER), ARRAY)), 'for another task 1'),
}


@pytest.mark.parametrize('what', BAD)
def test_bad_records_are_dropped_and_end_the_episode(tmp_path: Path, what: str) -> None:
    messages, words = BAD[what]
    found, reader = read(write_bag(tmp_path / 'bag', messages))
    wanted = drive()
    wanted[6] = dataclasses.replace(wanted[6], truncated=True)
    assert_same(found, wanted[:7] + wanted[8:], 'episode')
    assert [t.episode for t in found] == [0] * 5 + [1] * 2 + [2] * 2 + [3] * 5
    assert words in reader.summary.describe()
    assert 'closed 1 episode early: steps are missing 1' in reader.summary.describe()


def cut(transitions: list[Transition], index: int) -> Transition:
    return dataclasses.replace(transitions[index], truncated=True)


@pytest.mark.parametrize(
    ('kept', 'cuts', 'reasons'),
    [
        ([*range(8), *range(9, 15)], [7], {'steps are missing': 1}),
        ([*range(2), *range(5, 15)], [1], {'another episode begins': 1}),
        ([*range(8), *range(5, 15)], [], {}),  # duplicates
        ([*range(12)], [11], {'the bag ends': 1}),
        ([*range(3, 15)], [], {}),
        ([0, 1, 3, 2, 4], [1, 3, 2, 4], {'steps are missing': 3, 'the bag ends': 0}),
    ],
    ids=['gap', 'lost end', 'twice', 'end', 'joined late', 'out of order'],
)
def test_gaps(tmp_path: Path, kept: list[int], cuts: list[int], reasons: dict[str, int]) -> None:
    transitions = drive()
    messages = transition_messages(transitions[i] for i in kept)
    found, reader = read(write_bag(tmp_path / 'bag', messages))
    wanted = [cut(transitions, i) if i in cuts else transitions[i] for i in dict.fromkeys(kept)]
    assert_same(found, wanted, 'episode')
    assert dict(reader.summary.closed) == {k: v for k, v in reasons.items() if v}
    ends = [t.terminated or t.truncated for t in found]
    assert [t.episode for t in found] == [0, *np.cumsum(ends[:-1]).tolist()]


def test_a_jump_of_the_stamp(tmp_path: Path) -> None:
    transitions = drive(1, 6)
    for i in (3, 4, 5):
        transitions[i] = dataclasses.replace(transitions[i], stamp=transitions[i].stamp + 0.02)
    bag = write_bag(tmp_path / 'bag', transition_messages(transitions))
    found, reader = read(bag)
    assert [t.episode for t in found] == [0, 0, 0, 1, 1, 1]
    assert reader.summary.closed == {'the stamp jumps': 1}
    assert {t.episode for t in read(bag, tolerance=0.7)[0]} == {0}


def test_any_number_of_bags(tmp_path: Path) -> None:
    one, two = drive(seed=1), drive(2, 4, seed=2)
    write_bag(tmp_path / 'all/a', transition_messages(one))
    write_bag(tmp_path / 'all/b', transition_messages(two), sqlite=True)
    found, reader = read(tmp_path / 'all')
    assert_same(found, one + two, 'episode')
    assert [t.episode for t in found] == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 4 + [4] * 4
    assert reader.summary.bags == 2
    again, reader = read(tmp_path / 'all', tmp_path / 'all/a', tmp_path / 'all/b/b.db3')
    assert_same(again, found)
    assert reader.summary.dropped == {'duplicate': 23}
    assert_same(list(reader), found)  # a second reading starts over


def test_two_robots_in_a_bag(tmp_path: Path) -> None:
    one, two = drive(seed=1), drive(seed=2)
    messages = transition_messages(one, '/a/transition') + transition_messages(two, '/b/transition')
    messages.sort(key=lambda message: message[2])
    found, reader = read(write_bag(tmp_path / 'bag', messages))
    assert reader.summary.episodes == 6
    assert not reader.summary.closed
    by_episode = {e: [t for t in found if t.episode == e] for e in range(6)}
    assert all([t.step for t in group] == [0, 1, 2, 3, 4] for group in by_episode.values())
    order = sorted(found, key=lambda t: t.reward)
    assert_same(order, sorted(one + two, key=lambda t: t.reward), 'episode')


def test_another_task(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', transition_messages(drive()))
    with pytest.raises(
        ValueError, match="no transition of task 'Hopper': field 3 is 'observation:x"
    ):
        list(BagReader([bag], registry.task('Hopper')))
    with pytest.raises(ValueError, match="there is no '.*nowhere'"):
        BagReader([tmp_path / 'nowhere'], TASK)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match="no bag in '.*empty'"):
        BagReader([tmp_path / 'empty'], TASK)


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=12))
def test_nothing_is_new_twice(blocks: list[list[int]]) -> None:
    seen, known = Seen(), set()
    for block in blocks:
        fresh = seen.new(np.array(block, dtype=np.float64).reshape(-1, 1))
        for number, new in zip(block, fresh.tolist(), strict=True):
            assert new == (number not in known)
            known.add(number)


def test_rows_have_the_fields_of_a_transition() -> None:
    assert Rows._fields == tuple(field.name for field in dataclasses.fields(Transition))
