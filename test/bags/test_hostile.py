# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags that somebody made so that reading them has no end, or takes all memory."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from bag_files import TASK, drive, transition_messages, write_bag

from loop_ros.bags import sqlite_file, unpacking
from loop_ros.bags.mcap_records import CHUNK, MAGIC
from loop_ros.bags.reader import BagReader
from loop_ros.bags.repair import repair
from loop_ros.bags.sqlite_file import SqliteFile
from loop_ros.bags.unpacking import LARGEST, unpack

BOMB = bytes(2**22)
PACK: dict[str, Callable[[bytes], bytes]] = {
    '': bytes,
    'lz4': lz4.frame.compress,
    'zstd': zstandard.compress,
}


@pytest.mark.parametrize('compression', PACK)
def test_a_chunk_is_unpacked_whole(compression: str) -> None:
    packed = PACK[compression](BOMB)
    assert unpack(packed, compression, len(BOMB), zlib.crc32(BOMB)) == BOMB
    assert unpack(packed, compression, len(BOMB), 0) == BOMB
    with pytest.raises(ValueError, match='checksum is wrong'):
        unpack(packed, compression, len(BOMB), 1)


@pytest.mark.parametrize('compression', ['lz4', 'zstd'])
@pytest.mark.parametrize('size', [0, 100, len(BOMB) - 1, len(BOMB) + 1])
def test_a_chunk_gets_no_more_room_than_it_claims(
    monkeypatch: pytest.MonkeyPatch, compression: str, size: int
) -> None:
    packed = PACK[compression](BOMB)
    assert len(packed) < len(BOMB) / 100
    made: list[int] = []

    def measure(data: bytes) -> int:
        made.append(len(data))
        return len(data)

    monkeypatch.setattr(unpacking, 'len', measure, raising=False)
    with pytest.raises(ValueError, match=f'should have {size:,} bytes'):
        unpack(packed, compression, size, 0)
    assert made == [min(size + 1, len(BOMB))]


@pytest.mark.parametrize('compression', [*PACK, 'rot13'])
def test_a_claim_beyond_the_limit_or_of_another_kind_is_refused(compression: str) -> None:
    with pytest.raises(ValueError, match='at most 268,435,456'):
        unpack(b'', compression, LARGEST + 1, 0)
    if compression not in PACK:
        with pytest.raises(ValueError, match="packed with 'rot13'"):
            unpack(b'', compression, 3, 0)


def test_a_record_as_long_as_a_hole_in_the_file(tmp_path: Path) -> None:
    """A sparse file of a terabyte is a few bytes on the disk."""
    file = tmp_path / 'hole.mcap'
    with file.open('wb') as out:
        out.write(MAGIC + struct.pack('<BQ', CHUNK, 2**40))
        out.truncate(2**40 + 100)
    reader = BagReader([file], TASK)
    with pytest.raises(ValueError, match='has no topic'):
        list(reader)
    with pytest.raises(ValueError, match='no whole message'):
        repair(file, tmp_path / 'new')


def made(file: Path, *statements: str) -> Path:
    with sqlite3.connect(file) as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return file


TOPICS = (
    'CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, '
    'serialization_format TEXT, offered_qos_profiles TEXT)',
    "INSERT INTO topics VALUES(1, '/transition', 'std_msgs/msg/Float64MultiArray', 'cdr', '')",
)
NUMBERS = 'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT'


@pytest.mark.parametrize(
    'statements',
    [
        (*TOPICS, f'CREATE VIEW messages AS {NUMBERS} x AS id, 2 AS topic_id, 0, 0 FROM n'),
        (
            *TOPICS,
            f"CREATE VIEW messages AS {NUMBERS} x AS id, 1 AS topic_id, 0 AS timestamp, x'00' "
            'AS data FROM n',
        ),
        (f"CREATE VIEW topics AS {NUMBERS} x AS id, '/t' AS name, 't' AS type FROM n",),
        (
            *TOPICS,
            'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, '
            'data AS (zeroblob(900000000)))',
            *('INSERT INTO messages(topic_id, timestamp) VALUES(1, 0)' for _ in range(30)),
        ),
    ],
    ids=['no row', 'rows without end', 'topics without end', 'long values'],
)
def test_tables_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statements: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sqlite_file, 'OPERATIONS', 10_000)  # 20 million take seconds
    file = made(tmp_path / 'bag.db3', *statements)
    notes: list[str] = []
    for _ in SqliteFile(file, notes.append).bursts(lambda _: True):
        pass
    assert any('has a missing or broken part' in note for note in notes)


@pytest.mark.parametrize(
    'topic', ["(NULL, 'k')", "('n', NULL)", '(3, 4)', "(x'00', 'k')"], ids=['n', 'k', 'i', 'b']
)
def test_topics_that_are_no_text(tmp_path: Path, topic: str) -> None:
    file = made(
        tmp_path / 'bag.db3',
        'CREATE TABLE topics(id INTEGER PRIMARY KEY, name, type)',
        f'INSERT INTO topics(name, type) VALUES{topic}',
        'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data)',
    )
    assert SqliteFile(file, lambda _: None).channels == set()
    with pytest.raises(ValueError, match='has no topic'):
        list(BagReader([file], TASK))


def test_a_repair_runs_no_statement_but_what_makes_tables(tmp_path: Path) -> None:
    """The definitions in a file are statements; one may be another than its type says."""
    bag = write_bag(tmp_path / 'bag', transition_messages(drive(1, 3)), sqlite=True)
    file = next(bag.glob('*.db3'))
    elsewhere = tmp_path / 'elsewhere'
    with sqlite3.connect(file) as database:
        database.execute('PRAGMA writable_schema=ON')
        database.execute(
            "INSERT INTO sqlite_master VALUES('table', 'more', 'more', 0, ?)",
            (f"ATTACH DATABASE '{elsewhere}' AS other",),
        )
    database.close()
    with pytest.raises(ValueError, match='no whole message'):
        repair(file, tmp_path / 'new')
    assert not elsewhere.exists()


def test_a_broken_row_beside_the_messages_costs_no_message(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', transition_messages(drive(1, 3)), sqlite=True)
    file = next(bag.glob('*.db3'))
    with sqlite3.connect(file) as database:
        database.execute('CREATE TABLE more(name TEXT)')
        database.execute('INSERT INTO more VALUES(NULL)')
        database.execute('PRAGMA writable_schema=ON')
        database.execute(
            "UPDATE sqlite_master SET sql='CREATE TABLE more(name TEXT NOT NULL)' WHERE name='more'"
        )
    database.close()
    found = repair(file, tmp_path / 'new')
    assert found.contents.messages == 3
    assert 'has a broken row of more (NOT NULL' in found.notes[0]
