# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The messages of an MCAP file by the time of their receipt, whatever their order in the file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from mcap.records import Channel as ChannelRecord
from mcap.records import Schema

from loop_ros.bags.channel import Burst, Channel, Damage, Definition
from loop_ros.bags.mcap_records import (
    CHANNEL,
    MESSAGE,
    MESSAGE_HEAD,
    SCHEMA,
    Records,
    Section,
    load,
    parse,
    sections,
)

_TIME = itemgetter(0)


class _Span(NamedTuple):
    """A section's messages: their times (ns), where it stands, their channels."""

    start: int
    end: int
    section: Section
    channels: set[int]


class McapFile:
    """A file that was gone through once, which says what is in it and in which order."""

    def __init__(self, path: Path, damage: Damage) -> None:
        """`damage` is told why the file ends early; ValueError for one of another kind."""
        self.definitions: dict[str, Definition] = {}  # by type
        self._path = path
        self._schemas: dict[int, str] = {}
        self._channels: dict[int, Channel] = {}
        self._spans: list[_Span] = []
        with path.open('rb') as file:
            for section, records in sections(file, damage):
                try:
                    self._scan(section, records)
                except ValueError as error:
                    damage(f'is damaged at byte {section.start:,} ({error})')
                    break
        self._spans.sort(key=_TIME)

    @property
    def channels(self) -> set[Channel]:
        """Those that have messages."""
        return {self._channels[number] for span in self._spans for number in span.channels}

    def bursts(self, wanted: Callable[[Channel], bool]) -> Iterator[Burst]:
        """Messages of wanted channels by time, as many at a time as the file holds together."""
        chosen = {number for number, channel in self._channels.items() if wanted(channel)}
        spans = [span for span in self._spans if not chosen.isdisjoint(span.channels)]
        limits = [*(span.start for span in spans), None][1:]
        pending: Burst = {}
        with self._path.open('rb') as file:
            for span, limit in zip(spans, limits, strict=True):
                data, parts, _ = load(file, span.section)
                for opcode, start, end in parts:
                    if opcode != MESSAGE:
                        continue
                    number, _, time, _ = MESSAGE_HEAD.unpack_from(data, start)
                    if number in chosen:
                        message = time, data[start + MESSAGE_HEAD.size : end]
                        pending.setdefault(self._channels[number], []).append(message)
                yield _taken(pending, limit)

    def _scan(self, section: Section, records: Records) -> None:
        times, channels = [], set()
        for opcode, start, end in records.parts:
            if opcode == MESSAGE:
                number, _, time, _ = MESSAGE_HEAD.unpack_from(records.data, start)
                if number not in self._channels:
                    raise ValueError('a message of no channel')
                times.append(time)
                channels.add(number)
            elif opcode in (SCHEMA, CHANNEL):
                self._define(parse(opcode, bytes(records.data[start:end])))
        if times:
            self._spans.append(_Span(min(times), max(times), section, channels))

    def _define(self, record: object) -> None:
        if isinstance(record, Schema):
            self._schemas[record.id] = record.name
            # Of other encodings than text as well.
            text = record.data.decode(errors='replace')
            self.definitions[record.name] = Definition(record.encoding, text)
        elif isinstance(record, ChannelRecord):
            kind = self._schemas.get(record.schema_id, '')
            self._channels[record.id] = Channel(record.topic, kind)


def _taken(pending: Burst, limit: int | None) -> Burst:
    """The messages up to a time (ns) in their order; the others stay. None: all of them."""
    taken: Burst = {}
    for channel, messages in list(pending.items()):
        messages.sort(key=_TIME)  # stable, and quick where nothing is to do
        count = len(messages) if limit is None else bisect_right(messages, limit, key=_TIME)
        taken[channel], pending[channel] = messages[:count], messages[count:]
    return taken
