# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sqlite3 bag files, up to the first page that is missing."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loop_ros.bags.channel import Burst, Channel, Damage

BURST_MESSAGES = 2000
_MAGIC = b'SQLite format 3\x00'
_LOGS = ('-wal', '-journal')  # beside a file whose writer did not finish


def bursts(path: Path, wanted: Callable[[Channel], bool], damage: Damage) -> Iterator[Burst]:
    """Messages of wanted channels, in the order in which they were written."""
    if not _MAGIC.startswith(path.open('rb').read(len(_MAGIC))):
        raise ValueError(f"'{path}' is no sqlite3 file")
    try:
        with opened(path, damage) as database:
            yield from _read(database, wanted, damage)
    except sqlite3.DatabaseError as error:
        damage(f'has a missing or broken part ({error})')


def channels(path: Path) -> set[Channel]:
    """What a file has topics for; nothing where it cannot be read."""
    found: set[Channel] = set()

    def note(channel: Channel) -> bool:
        found.add(channel)
        return False

    for _ in bursts(path, note, lambda _: None):
        pass
    return found


def _read(
    database: sqlite3.Connection, wanted: Callable[[Channel], bool], damage: Damage
) -> Iterator[Burst]:
    topics = {
        number: Channel(name, kind)
        for number, name, kind in database.execute('SELECT id, name, type FROM topics')
    }
    chosen = {number: channel for number, channel in topics.items() if wanted(channel)}
    if not chosen:
        return
    numbers = ','.join(str(int(number)) for number in chosen)
    cursor = database.execute(
        f'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({numbers}) ORDER BY id'
    )
    ended = False
    while not ended:
        burst: Burst = {}
        for _ in range(BURST_MESSAGES):
            try:
                row = cursor.fetchone()
            except sqlite3.DatabaseError as error:
                damage(f'has a missing or broken part ({error})')
                row = None
            if row is None:
                ended = True
                break
            if isinstance(row[1], int) and isinstance(row[2], bytes):
                burst.setdefault(chosen[row[0]], []).append((row[1], row[2]))
        yield burst


@contextmanager
def opened(path: Path, damage: Damage) -> Iterator[sqlite3.Connection]:
    """The file itself, or where it was left unfinished a copy that sqlite may mend."""
    logs = [found for end in _LOGS if (found := path.with_name(path.name + end)).exists()]
    size, page = path.stat().st_size, _page_size(path)
    cut = size < page or size % page != 0 or size // page < _pages(path)
    if not logs and not cut:
        yield from _connected(path, 'mode=ro&immutable=1')
        return
    damage('was left unfinished')
    with tempfile.TemporaryDirectory(prefix='loop_ros_bag_') as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        for log in logs:
            shutil.copyfile(log, copy.with_name(log.name))
        if not logs:  # a page of which a part is missing would read as zeros
            with copy.open('r+b') as file:
                file.truncate(size // page * page)
        yield from _connected(copy, 'mode=rw')


def _connected(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f'{path.resolve().as_uri()}?{how}', uri=True)
    try:
        # Without it a file with fewer pages than its head says is refused as a whole.
        database.execute('PRAGMA writable_schema=ON')
        yield database
    finally:
        database.close()


def _page_size(path: Path) -> int:
    with path.open('rb') as file:
        head = file.read(100)
    size = int.from_bytes(head[16:18], 'big')
    return 65536 if size == 1 else max(size, 512)


def _pages(path: Path) -> int:
    with path.open('rb') as file:
        return int.from_bytes(file.read(100)[28:32], 'big')
