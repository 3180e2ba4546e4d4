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

from loop_ros.bags.channel import Burst, Channel, Damage, Definition

BURST_MESSAGES = 2000
BURST_BYTES = 2**24  # of messages that are handed on together; a message more where it is longer
LARGEST = 2**28  # bytes of a text or blob
OPERATIONS = 1_000_000  # of sqlite's virtual machine, counted at a time
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


def definitions(path: Path) -> dict[str, Definition]:
    """The types that a file defines; rosbag2 writes them since Iron."""
    query = 'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
    try:
        with opened(path, lambda _: None) as database:
            return {
                kind: Definition(encoding, text)
                for kind, encoding, text in database.execute(query)
                if all(isinstance(each, str) for each in (kind, encoding, text))
            }
    except sqlite3.DatabaseError:  # without that table, or damaged
        return {}


def _read(
    database: sqlite3.Connection, wanted: Callable[[Channel], bool], damage: Damage
) -> Iterator[Burst]:
    topics = {
        number: Channel(name, kind)
        for number, name, kind in database.execute('SELECT id, name, type FROM topics')
        if isinstance(number, int) and isinstance(name, str) and isinstance(kind, str)
    }
    chosen = {number: channel for number, channel in topics.items() if wanted(channel)}
    if not chosen:
        return
    numbers = ','.join(str(number) for number in chosen)
    cursor = database.execute(
        f'SELECT topic_id, timestamp, data FROM messages WHERE topic_id IN ({numbers}) ORDER BY id'
    )
    ended = False
    while not ended:
        burst: Burst = {}
        count = size = 0
        while count < BURST_MESSAGES and size < BURST_BYTES:
            count += 1
            try:
                row = cursor.fetchone()
            except sqlite3.DatabaseError as error:
                damage(f'has a missing or broken part ({error})')
                row = None
            if row is None:
                ended = True
                break
            if isinstance(row[1], int) and isinstance(row[2], bytes):
                size += len(row[2])
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
        bounded(database, path.stat().st_size)
        yield database
    finally:
        database.close()


def bounded(database: sqlite3.Connection, size: int) -> None:
    """Let a damaged or made-up file of so many bytes take neither for ever nor all memory.

    Pages that refer to each other in a circle, or a view in the place of a table, have no end.
    """
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
    database.execute('PRAGMA trusted_schema=OFF')
    left = 20 + size // 10_000  # 100 operations a byte; a row takes some 10, and more than 10 bytes

    def out_of_time() -> bool:
        nonlocal left
        left -= 1
        return left < 0

    def allowed(action: int, *_: object) -> int:
        forbidden = action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
        return sqlite3.SQLITE_DENY if forbidden else sqlite3.SQLITE_OK

    database.set_progress_handler(out_of_time, OPERATIONS)
    database.set_authorizer(allowed)


def _page_size(path: Path) -> int:
    with path.open('rb') as file:
        head = file.read(100)
    size = int.from_bytes(head[16:18], 'big')
    return 65536 if size == 1 else max(size, 512)


def _pages(path: Path) -> int:
    with path.open('rb') as file:
        return int.from_bytes(file.read(100)[28:32], 'big')
