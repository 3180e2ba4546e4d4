# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags as recorders compress them: whole, in several files, cut off, damaged, without metadata."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import yaml
import zstandard
from bag_files import ARRAY, STORE, Message, drive, transition_messages, write_bag
from mcap.writer import CompressionType, Writer

from loop_ros.bags.contents import Contents, Topic, information, write_metadata

COMPRESSIONS, STORAGES = ('none', 'file', 'message'), ('sqlite3', 'mcap')
STATES = ('whole', 'split', 'cut', 'damaged', 'no metadata')
TABLE = list(product(COMPRESSIONS, STORAGES, STATES))
DRIVEN = drive(60, 10)
SENT = transition_messages(DRIVEN)
PER_FILE = {'split': 200}  # messages


def made(folder: Path, compression: str, storage: str, state: str) -> Path:
    """A bag of `SENT` in a new folder."""
    folder.mkdir()
    size = PER_FILE.get(state, len(SENT))
    files: dict[str, Contents] = {}
    for start in range(0, len(SENT), size):
        part = SENT[start : start + size]
        name = _file(folder, f'bag_{len(files)}', part, storage, compression)
        files[name] = _contents(part)
    if state != 'no metadata':
        found = information(storage, files)
        if compression != 'none':
            found |= {'compression_mode': compression.upper(), 'compression_format': 'zstd'}
        write_metadata(folder, found)
    (first, *_) = sorted(folder.glob('bag_0.*'))
    data = bytearray(first.read_bytes())
    middle = 2 * len(data) // 3
    if state == 'cut':
        del data[middle:]
    elif state == 'damaged':
        data[middle : middle + 50] = b'\xff' * 50
    first.write_bytes(data)
    return folder


def _contents(messages: list[Message]) -> Contents:
    contents = Contents()
    for _, _, time, _ in messages:
        contents.add(Topic('/transition', ARRAY, 'cdr', '', ''), time)
    return contents


def _file(folder: Path, name: str, messages: list[Message], storage: str, compression: str) -> str:
    """Write a file of a bag and return its name."""
    if compression == 'message':
        messages = [(*m[:3], zstandard.compress(m[3])) for m in messages]
    if storage == 'mcap':
        file = folder / f'{name}.mcap'
        write_mcap(file, messages)
    else:
        bag = write_bag(folder / 'made', messages, sqlite=True)
        file = (bag / 'made.db3').rename(folder / f'{name}.db3')
        (bag / 'metadata.yaml').unlink()
        bag.rmdir()
    if compression != 'file':
        return file.name
    packed = folder / f'{file.name}.zstd'
    packed.write_bytes(zstandard.compress(file.read_bytes()))
    file.unlink()
    return packed.name


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
