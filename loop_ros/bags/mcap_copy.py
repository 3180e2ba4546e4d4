# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of an MCAP file that are whole, as they are, in a new file with an index."""

from __future__ import annotations

from pathlib import Path

import yaml
from mcap.records import Channel as ChannelRecord
from mcap.records import Schema
from mcap.writer import CompressionType, Writer

from loop_ros.bags.channel import Damage
from loop_ros.bags.contents import Contents, Topic, information
from loop_ros.bags.mcap_records import (
    CHANNEL,
    MESSAGE,
    MESSAGE_HEAD,
    SCHEMA,
    Records,
    parse,
    sections,
)
from loop_ros.bags.unpacking import ZSTD, unpack_message


def copy(source: Path, target: Path, damage: Damage) -> Contents:
    """Write `target` with what is in `source` up to its first record that is not whole.

    A chunk is whole, or nothing of it is kept; messages that were compressed one by one no longer
    are. `damage` is told what is not kept.
    """
    compression = _compression(source)
    with source.open('rb') as file, target.open('xb') as output:
        writer = Writer(output, compression=compression)
        writer.start('ros2', 'loop_ros')
        copied = _Copy(writer)
        for section, records in sections(file, damage):
            try:
                copied.take(records)
            except ValueError as error:
                damage(f'is damaged at byte {section.start:,} ({error})')
                break
        if copied.packed:
            damage(f'has {copied.packed:,} messages that cannot be unpacked')
        text = yaml.safe_dump(information('mcap', {target.name: copied.contents}))
        writer.add_metadata('rosbag2', {'serialized_metadata': text})
        writer.finish()
    return copied.contents


class _Copy:
    """Writes records to a file that numbers schemas and channels in its own way."""

    def __init__(self, writer: Writer) -> None:
        self.contents = Contents()
        self.packed = 0  # messages that cannot be unpacked
        self._writer = writer
        self._schemas: dict[int, tuple[int, str]] = {0: (0, '')}  # 0 is for none
        self._channels: dict[int, tuple[int, Topic]] = {}

    def take(self, records: Records) -> None:
        """Write the schemas, channels and messages of a section; ValueError for a broken one."""
        for opcode, start, end in records.parts:
            data = records.data[start:end]
            if opcode == MESSAGE:
                self._write(data)
            elif opcode in (SCHEMA, CHANNEL):
                self._define(parse(opcode, bytes(data)))

    def _write(self, message: memoryview) -> None:
        channel, sequence, time, published = MESSAGE_HEAD.unpack_from(message)
        if channel not in self._channels:
            raise ValueError('a message of no channel')
        plain = unpack_message(message[MESSAGE_HEAD.size :])
        if plain[:4] == ZSTD:
            self.packed += 1
            return
        number, topic = self._channels[channel]
        self._writer.add_message(number, time, bytes(plain), published, sequence)
        self.contents.add(topic, time)

    def _define(self, record: object) -> None:
        if isinstance(record, Schema) and record.id not in self._schemas:
            number = self._writer.register_schema(record.name, record.encoding, record.data)
            self._schemas[record.id] = number, record.name
        elif isinstance(record, ChannelRecord) and record.id not in self._channels:
            schema, kind = self._schemas.get(record.schema_id, (0, ''))
            number = self._writer.register_channel(
                record.topic, record.message_encoding, schema, record.metadata
            )
            qos = record.metadata.get('offered_qos_profiles', '')
            hash_ = record.metadata.get('topic_type_hash', '')
            topic = Topic(record.topic, kind, record.message_encoding, qos, hash_)
            self._channels[record.id] = number, topic


def _compression(source: Path) -> CompressionType:
    """That of the chunk with the first message, or of that message."""
    with source.open('rb') as file:
        for _, records in sections(file, lambda _: None):
            for opcode, start, _ in records.parts:
                if opcode == MESSAGE:
                    place = start + MESSAGE_HEAD.size
                    is_packed = records.data[place : place + len(ZSTD)] == ZSTD
                    compression = 'zstd' if is_packed else records.compression
                    return CompressionType[compression.upper() or 'NONE']
    return CompressionType.NONE
