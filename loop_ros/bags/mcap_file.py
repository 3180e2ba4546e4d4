# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files from front to back, whether they have an end or not.

The index at the end is not used, so that a file whose recording was cut off reads as a whole one
does, up to its last whole record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from loop_ros.bags.cdr import Buffer
from loop_ros.bags.channel import Burst, Channel, Damage, Definition
from loop_ros.bags.unpacking import LARGEST, unpack

MAGIC = b'\x89MCAP0\r\n'
BURST_BYTES = 2**20  # of messages outside chunks that are handed on together
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F

_RECORD = struct.Struct('<BQ')  # opcode, length
_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
_CHUNK = struct.Struct('<QQQI')  # start, end, uncompressed size, checksum


class McapScan:
    """One pass over a file; `damage` is told why it ended early."""

    def __init__(self, path: Path, wanted: Callable[[Channel], bool], damage: Damage) -> None:
        self._path, self._wanted, self._damage = path, wanted, damage
        self._schemas: dict[int, str] = {}
        self.definitions: dict[str, Definition] = {}  # by type
        self._collected: dict[int, list[tuple[int, Buffer]]] = {}  # by channel that is wanted
        self.channels: dict[int, Channel] = {}

    def bursts(self) -> Iterator[Burst]:
        """Messages of wanted channels, in the order of the file."""
        with self._path.open('rb') as file:
            size = self._path.stat().st_size
            magic = file.read(len(MAGIC))
            if not MAGIC.startswith(magic):
                raise ValueError(f"'{self._path}' is no MCAP file")
            pending = 0
            while (record := self._next(file, size)) is not None:
                opcode, body = record
                try:
                    pending += self._take(opcode, body)
                except ValueError as error:
                    self._damage(f'has a broken record ({error})')
                    break
                if opcode == CHUNK or pending > BURST_BYTES:
                    yield self._burst()
                    pending = 0
            yield self._burst()

    def _next(self, file: BinaryIO, size: int) -> tuple[int, bytes] | None:
        """Opcode and contents of the next record that matters; None at the end."""
        while True:
            header = file.read(_RECORD.size)
            if len(header) < _RECORD.size:
                self._damage('has no end')
                return None
            opcode, length = _RECORD.unpack(header)
            if opcode in (DATA_END, FOOTER):
                return None
            if opcode == 0 or length > size - file.tell():
                self._damage('has no end')
                return None
            if opcode in (SCHEMA, CHANNEL, MESSAGE, CHUNK):
                if length > LARGEST:
                    self._damage(f'has a record of {length:,} bytes')
                    return None
                return opcode, file.read(length)
            file.seek(length, 1)

    def _take(self, opcode: int, body: bytes) -> int:
        """Take a record in and return how many bytes a message has."""
        if opcode == CHUNK:
            self._take_chunk(body)
        elif opcode == MESSAGE:
            return self._take_message(memoryview(body))
        else:
            self._take_definition(opcode, body)
        return 0

    def _take_message(self, body: memoryview) -> int:
        if len(body) < _MESSAGE.size:
            raise ValueError('a message without its head')
        channel, _, time, _ = _MESSAGE.unpack_from(body)
        if channel in self._collected:
            self._collected[channel].append((time, body[_MESSAGE.size :]))
            return len(body)
        return 0

    def _take_chunk(self, body: bytes) -> None:
        """Every message in a chunk, or none where its checksum is wrong."""
        try:
            _, _, size, checksum = _CHUNK.unpack_from(body)
            compression, place = _text(body, _CHUNK.size)
            (length,) = struct.unpack_from('<Q', body, place)
            packed = body[place + 8 : place + 8 + length]
            records = memoryview(unpack(packed, compression, size, checksum))
        except Exception as error:  # whatever damaged bytes make a decompressor say
            raise ValueError(str(error)) from None
        place, end = 0, len(records)
        collected, record, message = self._collected, _RECORD.unpack_from, _MESSAGE.unpack_from
        while place + _RECORD.size <= end:
            opcode, length = record(records, place)
            start = place + _RECORD.size
            place = start + length
            if place > end:
                raise ValueError('a chunk ends within a record')
            if opcode == MESSAGE:
                if length < _MESSAGE.size:
                    raise ValueError('a message without its head')
                channel, _, time, _ = message(records, start)
                if channel in collected:
                    collected[channel].append((time, records[start + _MESSAGE.size : place]))
            elif opcode in (SCHEMA, CHANNEL):
                self._take_definition(opcode, bytes(records[start:place]))

    def _take_definition(self, opcode: int, body: bytes) -> None:
        try:
            (number,) = struct.unpack_from('<H', body)
            if opcode == SCHEMA:
                kind, place = _text(body, 2)
                self._schemas[number] = kind
                encoding, place = _text(body, place)
                # Of other encodings than text as well.
                text = body[place + 4 :].decode(errors='replace')
                self.definitions[kind] = Definition(encoding, text)
                return
            (schema,) = struct.unpack_from('<H', body, 2)
            topic, _ = _text(body, 4)
        except struct.error:
            raise ValueError('a definition without its head') from None
        channel = Channel(topic, self._schemas.get(schema, ''))
        self.channels[number] = channel
        if self._wanted(channel):
            self._collected.setdefault(number, [])

    def _burst(self) -> Burst:
        burst: Burst = {}
        for number, messages in self._collected.items():
            if messages:
                burst.setdefault(self.channels[number], []).extend(messages)
                self._collected[number] = []
        return burst


def _text(body: bytes, place: int) -> tuple[str, int]:
    """A string at a place, and the place after it."""
    (length,) = struct.unpack_from('<I', body, place)
    end = place + 4 + length
    if end > len(body):
        raise ValueError('a string is cut off')
    return body[place + 4 : end].decode(), end
