# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of an MCAP file that are whole, as they are, in a new file with an index."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import yaml
from mcap.records import Channel, Chunk, DataEnd, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import CompressionType, Writer

from loop_ros.bags.channel import Damage
from loop_ros.bags.contents import Contents, Topic, information
from loop_ros.bags.unpacking import unpack


def copy(source: Path, target: Path, damage: Damage) -> Contents:
    """Write `target` with what is in `source` up to its first record that is not whole.

    A chunk is whole, or nothing of it is kept; `damage` is told what was not.
    """
    with source.open('rb') as file, target.open('xb') as output:
        writer = Writer(output, compression=_compression(source))
        writer.start('ros2', 'loop_ros')
        copied = _Copy(writer)
        for record in _records(file, source.stat().st_size, damage):
            copied.take(record)
        text = yaml.safe_dump(information('mcap', {target.name: copied.contents}))
        writer.add_metadata('rosbag2', {'serialized_metadata': text})
        writer.finish()
    return copied.contents


class _Copy:
    """Writes records to a file that numbers schemas and channels in its own way."""

    def __init__(self, writer: Writer) -> None:
        self.contents = Contents()
        self._writer = writer
        self._schemas: dict[int, tuple[int, str]] = {0: (0, '')}  # 0 is for none
        self._channels: dict[int, tuple[int, Topic]] = {}

    def take(self, record: McapRecord) -> None:
        """Write a schema, channel or message; nobody reads a message that has no channel."""
        if isinstance(record, Message) and record.channel_id in self._channels:
            number, topic = self._channels[record.channel_id]
            self._writer.add_message(
                number, record.log_time, record.data, record.publish_time, record.sequence
            )
            self.contents.add(topic, record.log_time)
        elif isinstance(record, Schema) and record.id not in self._schemas:
            number = self._writer.register_schema(record.name, record.encoding, record.data)
            self._schemas[record.id] = number, record.name
        elif isinstance(record, Channel) and record.id not in self._channels:
            schema, kind = self._schemas.get(record.schema_id, (0, ''))
            number = self._writer.register_channel(
                record.topic, record.message_encoding, schema, record.metadata
            )
            qos = record.metadata.get('offered_qos_profiles', '')
            hash_ = record.metadata.get('topic_type_hash', '')
            topic = Topic(record.topic, kind, record.message_encoding, qos, hash_)
            self._channels[record.id] = number, topic


def _records(file: BinaryIO, size: int, damage: Damage) -> Iterator[McapRecord]:
    """Records of the data section, those in chunks one by one."""
    records = StreamReader(file, emit_chunks=True, record_size_limit=size).records
    whole = 0  # bytes
    while True:
        try:
            record = next(records)
            parts = breakup_chunk(_unpacked(record)) if isinstance(record, Chunk) else [record]
        except Exception:  # whatever damaged bytes make the reader say
            damage(f'is whole up to byte {whole:,}: the last {size - whole:,} bytes are left out')
            return
        if isinstance(record, DataEnd):
            return
        whole = file.tell()
        yield from parts


def _unpacked(chunk: Chunk) -> Chunk:
    """The same chunk without compression; its checksum was right."""
    data = unpack(chunk.data, chunk.compression, chunk.uncompressed_size, chunk.uncompressed_crc)
    return dataclasses.replace(chunk, compression='', data=data)


def _compression(source: Path) -> CompressionType:
    """The compression of a file's first chunk."""
    with source.open('rb') as file, contextlib.suppress(Exception):  # none is left
        for record in StreamReader(file, emit_chunks=True).records:
            if isinstance(record, Chunk):
                return CompressionType[record.compression.upper() or 'NONE']
    return CompressionType.NONE
