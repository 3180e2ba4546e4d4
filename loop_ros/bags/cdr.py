# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many serialized messages at once: where the numbers stand in them is found out only once.

Messages of one topic differ in their numbers and stamp only. A template is made from the first
one; those that equal it in every other byte are then read as columns of one array.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

if TYPE_CHECKING:  # it brings torch along, which takes seconds
    from loop_ros.types import Array

ARRAY = 'std_msgs/msg/Float64MultiArray'
JOINTS = 'sensor_msgs/msg/JointState'
ODOMETRY = 'nav_msgs/msg/Odometry'
KINDS = (ARRAY, JOINTS, ODOMETRY)
Buffer = bytes | memoryview
Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

_HEADER = 4  # bytes of encapsulation, from which alignment counts
_LITTLE_ENDIAN = b'\x00\x01'
_KNOWN = 64  # templates that are remembered
_STORE = get_typestore(Stores.ROS2_JAZZY)


class Template(NamedTuple):
    """Where things stand in messages of one length; offsets in bytes from the first one."""

    kind: str
    names: tuple[str, ...]  # labels, joints, or the two frames of an odometry
    sizes: tuple[int, ...]  # of the labelled fields
    blocks: dict[str, tuple[int, int]]  # offset and count of float64 by field
    stamp: int | None  # offset of sec and nanosec
    same: tuple[tuple[int, int], ...]  # spans that are equal in all such messages
    pattern: Bytes  # [L], the message that it was made from

    def matches(self, rows: Bytes) -> NDArray[np.bool_]:
        """Which messages [n, L] it describes."""
        found = np.ones(len(rows), dtype=np.bool_)
        for start, end in self.same:
            found &= (rows[:, start:end] == self.pattern[start:end]).all(axis=1)
        return found


@dataclass
class Group:
    """Messages that share a template, and their places in what was decoded."""

    template: Template
    index: Integers  # [n]
    rows: Bytes  # [n, L]

    def numbers(self, name: str) -> Array:
        """A field's numbers [n, count]."""
        offset, count = self.template.blocks[name]
        block = np.ascontiguousarray(self.rows[:, offset : offset + 8 * count])
        numbers = block.view('<f8') if count else np.empty((len(block), 0))
        return numbers.astype(np.float64, copy=False)

    def stamps(self) -> Integers:
        """Header stamps [n], ns."""
        offset = self.template.stamp
        assert offset is not None
        sec = np.ascontiguousarray(self.rows[:, offset : offset + 4]).view('<i4')[:, 0]
        nanosec = np.ascontiguousarray(self.rows[:, offset + 4 : offset + 8]).view('<u4')[:, 0]
        return sec.astype(np.int64) * 1_000_000_000 + nanosec.astype(np.int64)


@dataclass
class Decoder:
    """Messages of one type as groups of columns; remembers the templates it has met."""

    kind: str
    broken: int = 0  # messages that are none of this type
    _templates: list[Template] = field(default_factory=list)

    def decode(self, messages: Sequence[Buffer]) -> Iterator[Group]:
        """Groups of the messages that can be read; the others are counted."""
        lengths = np.fromiter(map(len, messages), dtype=np.int64, count=len(messages))
        for length in np.unique(lengths).tolist():
            index = np.flatnonzero(lengths == length)
            chosen = messages if len(index) == len(messages) else [messages[i] for i in index]
            rows = np.frombuffer(b''.join(chosen), dtype=np.uint8).reshape(len(index), length)
            yield from self._groups(index, rows)

    def _groups(self, index: Integers, rows: Bytes) -> Iterator[Group]:
        known = [t for t in reversed(self._templates) if len(t.pattern) == rows.shape[1]]
        while len(index):
            if known:
                template = known.pop(0)
            else:
                try:
                    template = self._learn(rows[0].tobytes())
                except ValueError:
                    self.broken += 1
                    index, rows = index[1:], rows[1:]
                    continue
                if template.pattern.tobytes() != rows[0].tobytes():  # written in another way
                    yield Group(template, index[:1], template.pattern[np.newaxis])
                    index, rows = index[1:], rows[1:]
                    continue
            found = template.matches(rows)
            if found.all():
                yield Group(template, index, rows)
                return
            if found.any():
                yield Group(template, index[found], rows[found])
                index, rows = index[~found], rows[~found]

    def _learn(self, message: bytes) -> Template:
        """A template of a message; ValueError for one that cannot be read."""
        try:
            template = template_of(self.kind, message)
        except ValueError:
            return template_of(self.kind, _rewritten(self.kind, message))
        self._templates = [*self._templates[-_KNOWN + 1 :], template]
        return template


def _rewritten(kind: str, message: bytes) -> bytes:
    """The same message as this machine would write it: little endian, without padding."""
    try:
        return bytes(_STORE.serialize_cdr(_STORE.deserialize_cdr(message, kind), kind))
    except Exception as error:  # whatever arbitrary bytes make a deserialiser say
        raise ValueError(f'no {kind}: {error}') from None


class _Cursor:
    """Goes through a little-endian message and notes what may differ between messages."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.place = _HEADER
        self.blocks: dict[str, tuple[int, int]] = {}
        self.free: list[tuple[int, int]] = []  # spans of numbers and stamps

    def align(self, size: int) -> None:
        self.place += -(self.place - _HEADER) % size

    def number(self) -> int:
        self.align(4)
        try:
            (value,) = struct.unpack_from('<I', self.message, self.place)
        except struct.error:
            raise ValueError('the message is cut off') from None
        self.place += 4
        return int(value)

    def string(self) -> str:
        length = self.number()
        end = self.place + length
        if length == 0 or end > len(self.message) or self.message[end - 1] != 0:
            raise ValueError('a string has no end')
        text = self.message[self.place : end - 1].decode()  # UnicodeDecodeError is a ValueError
        self.place = end
        return text

    def doubles(self, name: str, count: int) -> None:
        if count:
            self.align(8)
        self.blocks[name] = (self.place, count)
        self.skip(8 * count)

    def stamp(self) -> int:
        self.align(4)
        self.skip(8)
        return self.place - 8

    def skip(self, size: int) -> None:
        self.free.append((self.place, self.place + size))
        self.place += size
        if self.place > len(self.message):
            raise ValueError('the message is cut off')


def template_of(kind: str, message: bytes) -> Template:
    """Where things stand in a serialized message; ValueError for one that cannot be read."""
    if message[:2] != _LITTLE_ENDIAN:
        raise ValueError('not little-endian CDR')
    cursor = _Cursor(message)
    stamp: int | None = None
    sizes: list[int] = []
    if kind == ARRAY:
        names, sizes = _walk_array(cursor)
    else:
        stamp = cursor.stamp()
        names = _walk_joints(cursor) if kind == JOINTS else _walk_odometry(cursor)
    if cursor.place != len(message):
        raise ValueError(f'{len(message) - cursor.place} bytes too many')
    edges: list[int] = [0, *(edge for span in cursor.free for edge in span), len(message)]
    same = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)
    pattern = np.frombuffer(message, dtype=np.uint8)
    return Template(kind, tuple(names), tuple(sizes), cursor.blocks, stamp, same, pattern)


def _walk_array(cursor: _Cursor) -> tuple[list[str], list[int]]:
    names, sizes = [], []
    for _ in range(cursor.number()):
        names.append(cursor.string())
        sizes.append(cursor.number())
        cursor.number()  # stride
    offset = cursor.number()
    count = cursor.number()
    if offset > count:
        raise ValueError(f'data_offset is {offset} of {count} numbers')
    cursor.doubles('unused', offset if count else 0)
    cursor.doubles('data', count - offset)
    return names, sizes


def _walk_joints(cursor: _Cursor) -> list[str]:
    cursor.string()  # frame_id
    names = [cursor.string() for _ in range(cursor.number())]
    for interface in ('position', 'velocity', 'effort'):
        cursor.doubles(interface, cursor.number())
    return names


def _walk_odometry(cursor: _Cursor) -> list[Any]:
    frames = [cursor.string(), cursor.string()]
    for name, count in (('pose', 7), ('pose_covariance', 36), ('twist', 6), ('covariance', 36)):
        cursor.doubles(name, count)
    return frames
