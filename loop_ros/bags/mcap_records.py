# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The records of an MCAP file from front to back, up to the first that is not whole.

The index at the end is not used, so that a file whose recording was cut off reads as a whole one
does. What may stand between messages is checked, too: a record that is passed over because its
kind was overwritten may have been a chunk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.records import Attachment, Channel, McapRecord, Metadata, Schema

from loop_ros.bags.channel import Damage
from loop_ros.bags.unpacking import LARGEST, unpack

MAGIC = b'\x89MCAP0\r\n'
RUN_BYTES = 2**20  # of messages outside chunks that are read together
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, INDEX = 1, 2, 3, 4, 5, 6, 7
ATTACHMENT, METADATA, DATA_END = 0x09, 0x0C, 0x0F
MESSAGE_HEAD = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time

_RECORD = struct.Struct('<BQ')  # opcode, length
_SIZE = struct.Struct('<I')
_CHUNK = struct.Struct('<QQQI')  # start, end, uncompressed size, checksum
_ENDS = {DATA_END: 4, FOOTER: 20}  # bytes
_PARSED: dict[int, type[McapRecord]] = {
    SCHEMA: Schema,
    CHANNEL: Channel,
    ATTACHMENT: Attachment,
    METADATA: Metadata,
}


class Section(NamedTuple):
    """A chunk, or records outside chunks one after the other: where they stand in the file."""

    start: int
    end: int
    is_chunk: bool


class Records(NamedTuple):
    """What a section holds: opcode, start and end of each record's contents in `data`."""

    data: memoryview
    parts: list[tuple[int, int, int]]
    compression: str  # of a chunk, as 'zstd'; empty: none


def sections(file: BinaryIO, damage: Damage) -> Iterator[tuple[Section, Records]]:
    """The sections of a file; `damage` is told why it ended early.

    ValueError for a file that is no MCAP file.
    """
    magic = file.read(len(MAGIC))
    if not MAGIC.startswith(magic):
        raise ValueError('is no MCAP file')
    size = os.fstat(file.fileno()).st_size
    for section in _outlined(file, size, damage):
        try:
            yield section, load(file, section)
        except ValueError as error:
            damage(f'is damaged at byte {section.start:,} ({error})')
            return


def load(file: BinaryIO, section: Section) -> Records:
    """What a section holds; ValueError where it is not whole."""
    file.seek(section.start)
    data, compression = file.read(section.end - section.start), ''
    if section.is_chunk:
        data, compression = _unpacked(data[_RECORD.size :])
    records = memoryview(data)
    return Records(records, _parts(records), compression)


def parse(opcode: int, body: bytes) -> McapRecord:
    """A schema, channel, attachment or metadata; ValueError where the contents are none."""
    stream = ReadDataStream(BytesIO(body))
    try:
        found: McapRecord = _PARSED[opcode].read(stream)  # type: ignore[attr-defined]
    except Exception:  # whatever another record's bytes make it say
        raise ValueError('a broken record') from None
    if stream.count != len(body):
        raise ValueError('a broken record')
    return found


def _outlined(file: BinaryIO, size: int, damage: Damage) -> Iterator[Section]:
    """Where sections stand in the data section, which begins where the file is."""
    start = place = file.tell()  # of the present run of messages, and where it ends so far
    while True:
        file.seek(place)
        head = file.read(_RECORD.size)
        opcode, length = _RECORD.unpack(head) if len(head) == _RECORD.size else (0, 0)
        end = place + _RECORD.size + length
        if opcode == MESSAGE and end <= size and length <= LARGEST:
            place = end
            if place - start < RUN_BYTES:
                continue
        if start < place:
            yield Section(start, place, is_chunk=False)
            start = place
            continue
        if opcode in _ENDS and length == _ENDS[opcode]:
            return
        if wrong := _mistake(file, opcode, length, place, size):
            damage(f'{wrong} (byte {place:,} of {size:,})')
            return
        if opcode in (CHUNK, SCHEMA, CHANNEL):
            yield Section(place, end, is_chunk=opcode == CHUNK)
        start = place = end


def _mistake(file: BinaryIO, opcode: int, length: int, place: int, size: int) -> str:
    """What is wrong with a record that is no message; empty where nothing is."""
    if opcode == 0 or length > size - place - _RECORD.size:
        return 'has no end'
    if opcode == HEADER:
        return '' if place == len(MAGIC) else 'is damaged'
    if opcode in (CHUNK, SCHEMA, CHANNEL):
        return f'has a record of {length:,} bytes' if length > LARGEST else ''
    if opcode == INDEX:  # of the chunk before it
        entries = file.read(min(length, 6))[2:]
        return '' if len(entries) == 4 and _SIZE.unpack(entries) == (length - 6,) else 'is damaged'
    if opcode not in _PARSED:
        return f'has a record of unknown kind {opcode}'
    if length > LARGEST:  # an attachment, which nobody needs to read
        return ''
    try:
        parse(opcode, file.read(length))
    except ValueError:
        return 'is damaged'
    return ''


def _unpacked(body: bytes) -> tuple[bytes, str]:
    """The records in a chunk, whose checksum was right, and how they were compressed."""
    try:
        _, _, size, checksum = _CHUNK.unpack_from(body)
        (name,) = _SIZE.unpack_from(body, _CHUNK.size)
        place = _CHUNK.size + _SIZE.size + name
        compression = body[place - name : place].decode()
        (length,) = struct.unpack_from('<Q', body, place)
        packed = body[place + 8 : place + 8 + length]
        return unpack(packed, compression, size, checksum), compression
    except Exception as error:  # whatever damaged bytes make a decompressor say
        raise ValueError(str(error)) from None


def _parts(data: memoryview) -> list[tuple[int, int, int]]:
    place, end, head = 0, len(data), _RECORD.unpack_from
    found = []
    while place < end:
        if place + _RECORD.size > end:
            raise ValueError('it ends within a record')
        opcode, length = head(data, place)
        start = place + _RECORD.size
        place = start + length
        if place > end:
            raise ValueError('it ends within a record')
        if opcode == MESSAGE and length < MESSAGE_HEAD.size:
            raise ValueError('a message without its head')
        found.append((opcode, start, place))
    return found
