# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sqlite3 bag files, up to the first page that is missing."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path
from typing import Any

from loop_ros.bags.channel import Burst, Channel, Damage, Definition

BURST_MESSAGES = 2000
BURST_BYTES = 2**24  # of messages that are handed on together; a message more where it is longer
LARGEST = 2**28  # bytes of a text or blob
OPERATIONS = 1_000_000  # of sqlite's virtual machine, counted at a time
_MAGIC = b'SQLite format 3\x00'
_LOGS = ('-wal', '-journal')  # beside a file whose writer did not finish
_Row = tuple[int, int, bytes]  # topic, time (ns), message


class SqliteFile:
    """A file that was gone through once, which says what is in it and in which order."""

    def __init__(self, path: Path, damage: Damage) -> None:
        """`damage` is told why the file ends early; ValueError for one of another kind."""
        with path.open('rb') as file:
            if not _MAGIC.startswith(file.read(len(_MAGIC))):
                raise ValueError('is no sqlite3 file')
        self._path, self._damage = path, damage
        self._topics: dict[int, Channel] = {}
        self._used: set[int] = set()  # topics that have messages
        self._is_sorted = True
        with self._opened() as database:
            self._scan(database)
        self.definitions = _definitions(path)

    @property
    def channels(self) -> set[Channel]:
        """Those that have messages."""
        return {channel for number, channel in self._topics.items() if number in self._used}

    def bursts(self, wanted: Callable[[Channel], bool]) -> Iterator[Burst]:
        """Messages of wanted channels by time of receipt, up to the first that is missing."""
        chosen = {number: channel for number, channel in self._topics.items() if wanted(channel)}
        if not self._used.isdisjoint(chosen):
            with self._opened() as database:
                yield from _batches(self._rows(database, chosen), chosen)

    def _scan(self, database: sqlite3.Connection) -> None:
        self._topics = {
            number: Channel(name, kind)
            for number, name, kind in database.execute('SELECT id, name, type FROM topics')
            if isinstance(number, int) and isinstance(name, str) and isinstance(kind, str)
        }
        newest = unsound = 0
        columns = 'id, topic_id, timestamp, typeof(data)'
        for _, topic, time, kind in by_id(database, columns, 'TRUE', self._damage):
            if not isinstance(time, int) or kind != 'blob':
                unsound += 1
            elif topic in self._topics:
                self._used.add(topic)
                self._is_sorted = self._is_sorted and time >= newest
                newest = time
        if unsound:
            self._damage(f'has {unsound:,} rows that are no messages')

    def _rows(self, database: sqlite3.Connection, chosen: Collection[int]) -> Iterator[_Row]:
        topics = f'topic_id IN ({",".join(map(str, chosen))})'
        where = f"{topics} AND typeof(timestamp) = 'integer' AND typeof(data) = 'blob'"
        if self._is_sorted:
            for row in by_id(database, 'id, topic_id, timestamp, data', where, self._damage):
                yield row[1:]
            return
        times = [row[::-1] for row in by_id(database, 'id, timestamp', where, self._damage)]
        select = 'SELECT topic_id, timestamp, data FROM messages WHERE id = ?'
        for _, number in sorted(times):
            try:
                yield from database.execute(select, (number,))
            except sqlite3.DatabaseError as error:
                self._damage(broken_part(error))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with opened(self._path, self._damage) as database:
                yield database
        except sqlite3.DatabaseError as error:
            self._damage(broken_part(error))


def by_id(
    database: sqlite3.Connection,
    columns: str,
    where: str,
    damage: Damage,
    number: Callable[[Any], int] = itemgetter(0),
) -> Iterator[Any]:
    """Messages in the order in which they were written, up to the first that is broken.

    `number` says which of the columns is the id.
    """
    query = f'SELECT {columns} FROM messages WHERE {where}'
    last = -1
    try:
        for row in database.execute(f'{query} ORDER BY id'):
            last = number(row)
            yield row
    except sqlite3.DatabaseError as error:
        damage(broken_part(error))
        # Python's sqlite3 is a row ahead, and where that one is broken forgets the one before it.
        with suppress(sqlite3.DatabaseError):
            rest = f'{query} AND id > ? ORDER BY id LIMIT 1'
            yield from database.execute(rest, (last,)).fetchall()


def broken_part(error: sqlite3.Error) -> str:
    """What is wrong with a file, in words."""
    return f'has a missing or broken part ({error})'


def _definitions(path: Path) -> dict[str, Definition]:
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


def _batches(rows: Iterator[_Row], channels: Mapping[int, Channel]) -> Iterator[Burst]:
    burst: Burst = {}
    count = size = 0
    for topic, time, data in rows:
        burst.setdefault(channels[topic], []).append((time, data))
        count, size = count + 1, size + len(data)
        if count >= BURST_MESSAGES or size >= BURST_BYTES:
            yield burst
            burst, count, size = {}, 0, 0
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
