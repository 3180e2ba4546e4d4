# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When snapshots are written, how many stay, and what a bad disk does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import until

from loop_ros.control import snapshot_thread
from loop_ros.control.flight_recorder import Trigger
from loop_ros.control.snapshot_thread import SnapshotThread


class World:
    """The thread, with a writing of which the test knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.warned: list[str] = []
        self.error: Exception | None = None
        self.writers: set[str] = set()
        self.thread = SnapshotThread(
            folder, 3, self.write, self.said.append, lambda _, text: self.warned.append(text)
        )

    def write(self, path: Path, triggers: list[Trigger], pause: Callable[[], None]) -> None:
        path.mkdir()
        pause()
        (path / 'snapshot.json').write_text(' '.join(trigger.reason for trigger in triggers))
        self.writers.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error

    def happen(self, kind: str, reason: str = 'because') -> None:
        self.thread.trigger(Trigger(kind, reason, time.monotonic_ns()))

    def kinds(self) -> list[str]:
        return [path.name.partition('_')[2] for path in sorted(self.folder.iterdir())]

    def texts(self) -> list[str]:
        return [(path / 'snapshot.json').read_text() for path in sorted(self.folder.iterdir())]

    def ended(self) -> None:
        self.thread.stop()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(snapshot_thread, 'TAIL', 0.05)
    found = World(tmp_path / 'snapshots')
    found.thread.start()
    yield found
    found.ended()


def test_what_happens_within_the_tail_goes_into_one_snapshot(world: World) -> None:
    world.happen('hold', 'late')
    world.happen('stop', 'operator')
    until(lambda: world.thread.written, 5, 'a snapshot')
    assert world.kinds() == ['hold'] and world.texts() == ['late operator']
    assert world.writers == {'snapshots'}  # never the thread in which something happened
    assert str(next(world.folder.iterdir())) in world.said[0]


def test_a_robot_that_flaps_does_not_fill_the_disk(world: World) -> None:
    for number in range(50):
        world.happen('hold', f'late: by {number} ms')
        world.happen('stop', 'operator')
    until(lambda: world.thread.written, 5, 'a snapshot')
    world.ended()
    assert world.kinds() == ['hold'] and world.texts() == ['late: by 0 ms operator']
    assert world.thread.suppressed == 98
    assert 'no snapshot of hold: late: there was one less than 60 s ago' in world.warned[0]


def test_the_tail_is_not_waited_for_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_thread, 'TAIL', 3600.0)
    world.happen('stop')
    world.ended()
    assert world.kinds() == ['stop']


def test_one_that_is_asked_for_comes_at_once_and_stays(world: World) -> None:
    asked = [world.thread.ask(Trigger('asked', '', time.monotonic_ns())) for _ in range(2)]
    assert len(set(asked)) == 2
    until(lambda: world.thread.written == 2, 5, 'both')
    for kind in ('stop', 'stop', 'hold', 'stop', 'stop', 'distrust'):
        count = world.thread.written
        world.happen(kind, f'reason {count}')
        until(lambda: world.thread.written > count, 5, 'a snapshot')  # noqa: B023
    world.ended()
    assert all(path.is_dir() for path in asked)
    # Of three that stay, the oldest of the kind of which there are most goes.
    assert sorted(world.kinds()) == sorted(
        ['distrust', 'hold', 'stop', *(path.name.partition('_')[2] for path in asked)]
    )
    assert sum('is removed' in text for text in world.said) == 3


def test_a_full_disk_is_said_and_nothing_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_thread, 'LEAST_ROOM', 2**60)
    world.happen('stop')
    until(lambda: world.thread.failed, 5, 'a failure')
    assert list(world.folder.iterdir()) == [] and 'is full' in world.warned[0]
    monkeypatch.setattr(snapshot_thread, 'LEAST_ROOM', 0)
    world.happen('hold')
    until(lambda: world.thread.written, 5, 'a snapshot')


def test_a_failure_leaves_nothing_behind_and_the_next_is_written(world: World) -> None:
    world.error = OSError(28, 'No space left on device')
    world.happen('stop')
    until(lambda: world.thread.failed, 5, 'a failure')
    assert list(world.folder.iterdir()) == [] and 'No space left' in world.warned[0]
    world.error = None
    world.happen('hold')
    until(lambda: world.thread.written, 5, 'a snapshot')


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('no folder')
    world = World(tmp_path / 'file' / 'snapshots')
    world.thread.start()
    world.happen('stop')
    world.ended()
    assert world.thread.failed == 1 and 'not written' in world.warned[0]


def test_what_a_crash_left_is_removed_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_thread, 'STALE', -1.0)
    (tmp_path / '.20260101T000000.000Z_stop.new').mkdir()
    (tmp_path / '.other.new').mkdir()
    world = World(tmp_path)
    world.thread.start()
    world.ended()
    assert [path.name for path in tmp_path.iterdir()] == ['.other.new']
