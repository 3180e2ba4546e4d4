# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags as recorders compress them: whole, in several files, cut off, damaged, without metadata."""

from __future__ import annotations

import functools
import tempfile
from itertools import product
from pathlib import Path

import yaml
import zstandard
from bag_files import STORE, Message, drive, transition_messages, write_bag
from mcap.writer import CompressionType, Writer

from loop_ros.bags.contents import Contents, Topic, information, write_metadata

COMPRESSIONS, STORAGES = ('none', 'file', 'message'), ('sqlite3', 'mcap')
STATES = ('whole', 'split', 'cut', 'damaged', 'no metadata')
TABLE = list(product(COMPRESSIONS, STORAGES, STATES))
DRIVEN = drive(60, 10)
SENT = transition_messages(DRIVEN)
PER_FILE = {'split': 200}  # messages
# sqlite3 waits for the disk after each step, which takes most of the time of a test.
MEMORY = '/dev/shm' if Path('/dev/shm').is_dir() else None


def made(folder: Path, compression: str, storage: str, state: str) -> Path:
    """A bag of `SENT` in a new folder."""
    size = PER_FILE.get(state, len(SENT))
    parts = tuple(tuple(SENT[start : start + size]) for start in range(0, len(SENT), size))
    write_parts(folder, parts, compression, storage, metadata=state != 'no metadata')
    (first, *_) = sorted(folder.glob('bag_0.*'))
    data = bytearray(first.read_bytes())
    middle = 2 * len(data) // 3
    if state == 'cut':
        del data[middle:]
    elif state == 'damaged':
        data[middle : middle + 50] = b'\xff' * 50
    first.write_bytes(data)
    return folder


def write_parts(
    folder: Path,
    parts: tuple[tuple[Message, ...], ...],
    compression: str,
    storage: str,
    metadata: bool = True,
) -> None:
    """A bag in a new folder, with a file for each part."""
    folder.mkdir()
    files: dict[str, Contents] = {}
    ending = {'sqlite3': '.db3', 'mcap': '.mcap'}[storage]
    for number, part in enumerate(parts):
        name = f'bag_{number}{ending}'
        data = _file(part, storage, compression == 'message')
        if compression == 'file':
            name, data = f'{name}.zstd', zstandard.compress(data)
        (folder / name).write_bytes(data)
        files[name] = _contents(part)
    if metadata:
        found = information(storage, files)
        if compression != 'none':
            found |= {'compression_mode': compression.upper(), 'compression_format': 'zstd'}
        write_metadata(folder, found)


def _contents(messages: tuple[Message, ...]) -> Contents:
    contents = Contents()
    for topic, kind, time, _ in messages:
        contents.add(Topic(topic, kind, 'cdr', '', ''), time)
    return contents


@functools.lru_cache(maxsize=20)
def _file(messages: tuple[Message, ...], storage: str, is_packed: bool) -> bytes:
    """A file of a bag."""
    if is_packed:
        messages = tuple((*m[:3], zstandard.compress(m[3])) for m in messages)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        if storage == 'mcap':
            file = Path(folder) / 'made.mcap'
            write_mcap(file, list(messages))
        else:
            file = write_bag(Path(folder) / 'made', messages, sqlite=True) / 'made.db3'
        return file.read_bytes()


def write_mcap(file: Path, messages: list[Message], chunked: bool = True) -> None:
    """In the order given, in many small chunks as recorders that may be killed make them."""
    with file.open('wb') as stream:
        writer = Writer(
            stream, chunk_size=4000, compression=CompressionType.NONE, use_chunking=chunked
        )
        writer.start('ros2')
        channels: dict[str, int] = {}
        for topic, kind, time, data in messages:
            if topic not in channels:
                text, _ = STORE.generate_msgdef(kind, ros_version=2)
                schema = writer.register_schema(kind, 'ros2msg', text.encode())
                qos = {'offered_qos_profiles': yaml.safe_dump([])}
                channels[topic] = writer.register_channel(topic, 'cdr', schema, qos)
            writer.add_message(channels[topic], time, data, time)
        writer.finish()
