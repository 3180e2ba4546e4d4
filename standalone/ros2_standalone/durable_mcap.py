# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An MCAP file that is complete on disk after every flush, so that a kill costs no more than that.

A flush writes one chunk and, after it, the summary and the footer; the next chunk goes over them.
The `mcap` library's own writer leaves a file without a footer until it is finished, which most
readers refuse.
"""

import os
import zlib
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

_MAGIC = b'\x89MCAP0\r\n'


class DurableMcap:
    """Writes one MCAP file. Times are in ns since the epoch."""

    def __init__(self, path: Path, library: str) -> None:
        self._file = path.open('xb', buffering=0)
        self._schemas: dict[str, Schema] = {}
        self._channels: list[Channel] = []
        self._chunk_indexes = b''  # of all chunks, as the summary holds them
        self._chunk_count = 0
        self._counts: dict[int, int] = {}
        self._chunk = RecordBuilder()
        self._index: dict[int, list[tuple[int, int]]] = {}
        self.start_time = 0
        self.end_time = 0
        header = _bytes([Header(profile='ros2', library=library)])
        self._end = self._file.write(_MAGIC + header)
        self.flush()

    @property
    def message_count(self) -> int:
        """Messages written so far."""
        return sum(self._counts.values())

    @property
    def size(self) -> int:
        """Bytes of all messages written so far."""
        return self._end + self.pending_bytes

    @property
    def pending_bytes(self) -> int:
        """Bytes that the next flush will write."""
        return self._chunk.count

    def add_channel(self, topic: str, type_name: str, definition: str, qos: str, hash_: str) -> int:
        """Add a topic and return the number of its channel.

        definition: the type's ros2msg text; qos: offered profiles as YAML; hash_: RIHS01.
        """
        schema = self._schemas.get(type_name)
        if schema is None:
            schema = Schema(
                id=len(self._schemas) + 1,
                name=type_name,
                encoding='ros2msg',
                data=definition.encode(),
            )
            self._schemas[type_name] = schema
            schema.write(self._chunk)
        channel = Channel(
            id=len(self._channels) + 1,
            topic=topic,
            message_encoding='cdr',
            metadata={'offered_qos_profiles': qos, 'topic_type_hash': hash_},
            schema_id=schema.id,
        )
        self._channels.append(channel)
        self._counts[channel.id] = 0
        channel.write(self._chunk)
        return channel.id

    def write(self, channel: int, time_ns: int, data: bytes) -> None:
        """Add a serialized message to the pending chunk."""
        self._index.setdefault(channel, []).append((time_ns, self._chunk.count))
        Message(
            channel_id=channel, log_time=time_ns, publish_time=time_ns, sequence=0, data=data
        ).write(self._chunk)
        if self.message_count == 0:
            self.start_time = time_ns
        self.start_time = min(self.start_time, time_ns)
        self.end_time = max(self.end_time, time_ns)
        self._counts[channel] += 1

    def flush(self) -> None:
        """Put what is pending on disk, with a summary after it."""
        data = self._take_chunk()
        summary_start = self._end + len(data) + len(_bytes([DataEnd(data_section_crc=0)]))
        tail = _bytes([DataEnd(data_section_crc=0)]) + self._summary(summary_start) + _MAGIC
        # One write at one place: between two flushes the file is complete at any time.
        written = os.pwrite(self._file.fileno(), data + tail, self._end)
        while written < len(data) + len(tail):
            written += os.pwrite(self._file.fileno(), (data + tail)[written:], self._end + written)
        self._file.truncate(self._end + written)
        self._end += len(data)

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()

    def _take_chunk(self) -> bytes:
        """Return the pending chunk with its message indexes, and remember where it will be."""
        records = self._chunk.end()
        if not records:
            return b''
        times = [time for entries in self._index.values() for time, _ in entries]
        start, end = (min(times), max(times)) if times else (0, 0)
        chunk = _bytes(
            [
                Chunk(
                    compression='',
                    data=records,
                    message_start_time=start,
                    message_end_time=end,
                    uncompressed_crc=zlib.crc32(records),
                    uncompressed_size=len(records),
                )
            ]
        )
        indexes = b''
        offsets = {}
        for channel, entries in self._index.items():
            offsets[channel] = self._end + len(chunk) + len(indexes)
            indexes += _bytes([MessageIndex(channel_id=channel, records=entries)])
        self._index = {}
        index = ChunkIndex(
            chunk_start_offset=self._end,
            chunk_length=len(chunk),
            compression='',
            compressed_size=len(records),
            uncompressed_size=len(records),
            message_start_time=start,
            message_end_time=end,
            message_index_offsets=offsets,
            message_index_length=len(indexes),
        )
        self._chunk_indexes += _bytes([index])
        self._chunk_count += 1
        return chunk + indexes

    def _summary(self, start: int) -> bytes:
        """Return summary section, summary offsets and footer; start: its place in the file."""
        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=self._counts,
            chunk_count=self._chunk_count,
            message_count=self.message_count,
            message_start_time=self.start_time,
            message_end_time=self.end_time,
            metadata_count=0,
            schema_count=len(self._schemas),
        )
        groups = [
            (Opcode.SCHEMA, _bytes(list(self._schemas.values()))),
            (Opcode.CHANNEL, _bytes(list(self._channels))),
            (Opcode.CHUNK_INDEX, self._chunk_indexes),
            (Opcode.STATISTICS, _bytes([statistics])),
        ]
        summary: bytes = b''
        offsets: list[McapRecord] = []
        for opcode, group in groups:
            if group:
                offsets.append(SummaryOffset(opcode, start + len(summary), len(group)))
            summary += group
        footer = Footer(
            summary_start=start, summary_offset_start=start + len(summary), summary_crc=0
        )
        return summary + _bytes([*offsets, footer])


def _bytes(records: list[McapRecord]) -> bytes:
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    result: bytes = builder.end()
    return result
