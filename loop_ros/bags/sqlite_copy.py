# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of a sqlite3 bag file that are whole, as they are, in a new file with an index."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from loop_ros.bags.channel import Damage
from loop_ros.bags.contents import Contents, Topic, information
from loop_ros.bags.sqlite_file import bounded, broken_part, by_id, opened
from loop_ros.bags.unpacking import ZSTD, unpack_message

NEEDED = ('topics', 'messages')


def copy(source: Path, target: Path, damage: Damage) -> Contents:
    """Write `target` with what is in `source` up to its first page that is missing.

    Tables and rows stay as they are, but for messages that were compressed one by one, which no
    longer are. `damage` is told what was wrong.
    """
    with contextlib.closing(sqlite3.connect(target)) as new:
        new.execute('PRAGMA synchronous=OFF')  # `repair` syncs the file when it is whole
        bounded(new, source.stat().st_size)  # it runs the definitions that stand in the old one
        try:
            with opened(source, damage) as old:
                return _copied(old, new, target.name, damage)
        except (sqlite3.Error, IndexError) as error:  # tables that are none, or other ones
            damage(f'cannot be copied ({error})')
            return Contents()


def _copied(
    old: sqlite3.Connection, new: sqlite3.Connection, name: str, damage: Damage
) -> Contents:
    old.row_factory = sqlite3.Row
    reader = _Reader(old, damage)
    tables, indexes = reader.definitions()
    if not tables.keys() >= set(NEEDED):
        return Contents()
    for definition in tables.values():
        new.execute(definition)
    contents = _fill(reader, new, set(tables), damage)
    if 'metadata' in tables:
        _describe(new, name, contents)
    for definition in indexes:  # at once, which is faster
        new.execute(definition)
    new.commit()
    return contents


class _Reader:
    """Rows of a file up to the first that cannot be read."""

    def __init__(self, database: sqlite3.Connection, damage: Damage) -> None:
        self._database, self._damage = database, damage

    def rows(self, query: str) -> Iterator[sqlite3.Row]:
        """Rows that a query gives."""
        try:
            yield from self._database.execute(query)
        except sqlite3.DatabaseError as error:
            self._damage(broken_part(error))

    def messages(self) -> Iterator[sqlite3.Row]:
        """In the order in which they were written."""
        return by_id(self._database, '*', 'TRUE', self._damage, itemgetter('id'))

    def definitions(self) -> tuple[dict[str, str], list[str]]:
        """The SQL of tables, by name, and of indexes."""
        listed = self.rows('SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL')
        found = [row for row in listed if not str(row['name']).startswith('sqlite_')]  # its own
        tables = {row['name']: row['sql'] for row in found if row['type'] == 'table'}
        return tables, [row['sql'] for row in found if row['type'] == 'index']


def _fill(reader: _Reader, new: sqlite3.Connection, tables: set[str], damage: Damage) -> Contents:
    """Copy all rows but those about the file as a whole."""

    def insert(table: str, row: Mapping[str, Any]) -> bool:
        try:
            _insert(new, table, row)
        except sqlite3.IntegrityError as error:  # the new file keeps what the old one promised
            damage(f'has a broken row of {table} ({error}): left out')
            return False
        return True

    for table in tables - {*NEEDED, 'metadata'}:
        for row in reader.rows(f'SELECT * FROM {_quoted(table)}'):
            insert(table, dict(row))
    topics: dict[int, Topic] = {}
    for row in reader.rows('SELECT * FROM topics'):
        if insert('topics', dict(row)):
            topics[row['id']] = _topic(row)
    contents, packed = Contents(), 0
    for row in reader.messages():
        if not isinstance(row['timestamp'], int) or not isinstance(row['data'], bytes):
            continue
        plain = {**dict(row), 'data': unpack_message(row['data'])}
        if plain['data'][:4] == ZSTD:
            packed += 1
        elif row['topic_id'] in topics and insert('messages', plain):
            contents.add(topics[row['topic_id']], row['timestamp'])
    if packed:
        damage(f'has {packed:,} messages that cannot be unpacked')
    return contents


def _describe(new: sqlite3.Connection, name: str, contents: Contents) -> None:
    found = information('sqlite3', {name: contents})
    new.execute(
        'INSERT INTO metadata(metadata_version, metadata) VALUES (?, ?)',
        (found['version'], yaml.safe_dump(found)),
    )


def _insert(new: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    places = ', '.join('?' * len(row))
    new.execute(f'INSERT INTO {_quoted(table)} VALUES ({places})', tuple(row.values()))


def _topic(row: sqlite3.Row) -> Topic:
    """Older bags lack the last columns."""
    known = dict(row)
    qos, hash_ = (known.get(c, '') for c in ('offered_qos_profiles', 'type_description_hash'))
    name, kind, format_ = (str(row[c]) for c in ('name', 'type', 'serialization_format'))
    return Topic(name, kind, format_, str(qos), str(hash_))


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
