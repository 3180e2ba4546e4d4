# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of any topics, rates, order, stamps, compression, files and cuts against what happened.

Reading raises nothing but errors that name the bag, yields no transition that did not happen, and
counts all that it leaves out.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path

from bag_files import TASK, same
from generated_bags import (
    COMMAND,
    PERIOD,
    STATE,
    TRANSITION,
    Losses,
    Robot,
    Storage,
    Topic,
    command_of,
    losses,
    recorded_transitions,
    state_of,
    storages,
    topic,
    write,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loop_ros.bags.reader import BagReader
from loop_ros.bags.repair import repair
from loop_ros.types import Transition

OTHER = ('/chatter', 'std_msgs/msg/Float64MultiArray')
ROBOT = {STATE, COMMAND, OTHER}


def read(bag: Path) -> tuple[list[Transition], BagReader, str]:
    """What is found, and the error that ended it."""
    reader = BagReader([bag], TASK)
    found: list[Transition] = []
    try:
        found.extend(reader)
    except ValueError as error:
        return found, reader, str(error)
    return found, reader, ''


def damage(reader: BagReader) -> list[str]:
    return [note for note in reader.summary.notes if "'loop-ros repair'" in note]


def assert_repaired_is_the_same(bag: Path, found: list[Transition]) -> None:
    """A repair keeps what is read."""
    try:
        repair(bag, bag.parent / 'repaired')
    except ValueError as error:
        assert str(bag) in str(error)
        assert not found
        return
    again, reader, _ = read(bag.parent / 'repaired')
    assert len(again) == len(found)
    assert all(map(same, again, found))
    assert not damage(reader)


NOTHING = Losses(0.0, 0.0, 0.0)


@settings(max_examples=60)
@example(NOTHING, Storage('sqlite3', 'none', 1, False, False, 0.9375), 0, 3, 0)  # a broken page
@given(losses, storages, st.integers(0, 80_000_000), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_recorded_transitions(lost: Losses, how: Storage, late: int, steps: int, seed: int) -> None:
    rng = random.Random(seed)
    truth, sent = recorded_transitions(4, steps)
    held = topic(*TRANSITION, [m[2:] for m in sent], lost, late, rng)
    if not held.messages:
        return
    with tempfile.TemporaryDirectory() as folder:
        bag = write(Path(folder) / 'bag', held.messages, how, rng)
        found, reader, error = read(bag)
        assert not error or (how.cut is not None and str(bag) in error)
        assert_repaired_is_the_same(bag, found)
    happened = {t.stamp: t for t in truth}
    for t in found:
        assert same(t, happened[t.stamp], 'episode', 'truncated')
    assert len({t.stamp for t in found}) == len(found)
    for before, after in zip(found, found[1:], strict=False):
        first, second = happened[before.stamp], happened[after.stamp]
        follows = (second.episode, second.step) == (first.episode, first.step + 1)
        assert (before.episode == after.episode) == (follows and not first.truncated)
        assert before.terminated or before.truncated == (before.episode != after.episode)
    assert not found or found[-1].terminated or found[-1].truncated
    count = len(found) + reader.summary.dropped.total()
    if how.cut is None:
        assert count == len(held.messages)
        assert len(found) == len({number for number, _ in held.usable()})
    else:
        assert count == len(held.messages) or (
            count < len(held.messages) and (error or damage(reader))
        )


def times(held: Topic, stamps: list[int] | None, whole: bool) -> tuple[dict[int, int], int]:
    """Times (ns) by number of what is not older than what came before it; and how many are older.

    Where some may be cut off it is not known which are older: all times, then.
    """
    kept: dict[int, int] = {}
    newest = -1
    for number, received in held.usable():
        stamp = received if stamps is None else stamps[number]
        if stamp > newest or not whole:
            kept[number] = newest = stamp
    return kept, len(held.messages) - len(kept)


@settings(max_examples=80)
# A file without a message; fast states, some of them twice or late, in chunks.
@example(
    1.0, 0.0, False, False, 0, NOTHING, Storage('mcap', 'none', 2, False, False, 0.0), 2, ROBOT, 0
)
@example(
    3.0,
    0.0,
    True,
    True,
    60_000_000,
    Losses(0.0, 0.1, 0.05),
    Storage('mcap', 'none', 1, False, False, None),
    111,
    ROBOT,
    0,
)
@given(
    st.sampled_from([1.0, 1.0, 1.05, 1.5, 3.0]),
    st.sampled_from([0.0, 0.04, 0.5]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 1_000_000, 60_000_000]),
    losses,
    storages,
    st.integers(1, 120),
    st.sampled_from([ROBOT, ROBOT, ROBOT, ROBOT, {STATE, OTHER}, {COMMAND}]),
    st.integers(0, 2**32 - 1),
)
def test_states_and_commands(
    rate: float,
    jitter: float,
    repeats: bool,
    stamped: bool,
    late: int,
    lost: Losses,
    how: Storage,
    count: int,
    topics: set[tuple[str, str]],
    seed: int,
) -> None:
    rng = random.Random(seed)
    robot = Robot.driven(count, rate, jitter, repeats, rng)
    if not stamped:  # what comes again is no copy then, and what comes late was so late
        late, lost = min(late, 1_000_000), replace(lost, twice=0.0)
    states, commands = robot.sent(stamped)
    held = {
        kind: topic(*kind, sent if kind in topics else [], lost, late, rng)
        for kind, sent in ((STATE, states), (COMMAND, commands), (OTHER, commands))
    }
    messages = [message for each in held.values() for message in each.messages]
    if not messages:
        return
    with tempfile.TemporaryDirectory() as folder:
        bag = write(Path(folder) / 'bag', messages, how, rng)
        found, reader, error = read(bag)
        assert not error or str(bag) in error
        assert_repaired_is_the_same(bag, found)
    if error:
        return
    summary = reader.summary
    whole = how.cut is None
    state_at, lost_states = times(held[STATE], robot.states if stamped else None, whole)
    command_at, lost_commands = times(held[COMMAND], robot.commands if stamped else None, whole)
    for t in found:
        start, end = state_at[state_of(t.observation)], state_at[state_of(t.next_observation)]
        assert round(t.stamp * 1e9) == start
        assert abs(end - start - PERIOD) <= PERIOD // 2 + 2  # the tolerance, and rounding
        given_at = command_at[command_of(t.action)]
        assert start - PERIOD // 2 <= given_at < end
        is_answer = repeats and given_at == start
        if whole and not is_answer:
            assert not any(given_at < other < end for other in command_at.values())
    for before, after in zip(found, found[1:], strict=False):
        if before.episode == after.episode:
            assert state_of(before.next_observation) == state_of(after.observation)
    if whole and rate == 1.0 and jitter < 0.1:
        dropped = summary.dropped.total() - lost_states - lost_commands
        assert len(found) + dropped == max(0, len(state_at) - 1)
