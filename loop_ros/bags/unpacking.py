# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed chunks, messages and files, unpacked no further than they may be."""

from __future__ import annotations

import zlib
from pathlib import Path

import lz4.frame
import zstandard

from loop_ros.bags.cdr import Buffer
from loop_ros.bags.channel import Damage

LARGEST = 2**28  # bytes of a record, packed or not; recorders write chunks of one or a few 2**20
ZSTD = zstandard.FRAME_HEADER  # no CDR message begins so, nor a file of another kind
_BLOCK = 4096  # bytes: what a damaged place costs before it


def unpack(packed: bytes, compression: str, size: int, checksum: int) -> bytes:
    """What was packed, of exactly `size` bytes; a checksum of 0 is none.

    Raises ValueError, and what the two libraries make of damaged bytes.
    """
    if size > LARGEST:
        raise ValueError(f'a chunk of {size:,} bytes; at most {LARGEST:,} are read')
    if compression == 'zstd':
        with zstandard.ZstdDecompressor(max_window_size=LARGEST).stream_reader(packed) as stream:
            data = stream.read(size + 1)
    elif compression == 'lz4':
        data = lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
    elif compression == '':
        data = packed
    else:
        raise ValueError(f'a chunk packed with {compression!r}')
    if len(data) != size:
        raise ValueError(f'a chunk that should have {size:,} bytes, and has not')
    if checksum and zlib.crc32(data) != checksum:
        raise ValueError("a chunk's checksum is wrong")
    return data


def unpack_message(data: Buffer) -> Buffer:
    """A message without the compression that its recorder gave it, if it did.

    Messages that cannot be unpacked stay as they are, which makes them broken ones.
    """
    if data[:4] != ZSTD:
        return data
    try:
        if not 0 <= zstandard.frame_content_size(data) <= LARGEST:  # recorders say it
            return data
        return zstandard.ZstdDecompressor(max_window_size=LARGEST).decompress(data)
    except zstandard.ZstdError:
        return data


def unpack_file(packed: Path, target: Path, damage: Damage) -> None:
    """Write what is in a compressed file to `target`, as far as it can be read.

    `damage` is told where that ends. Changed bytes are noticed where zstd does so: recorders
    make no checksum.
    """
    frame = None  # that is not read to its end
    with packed.open('rb') as source, target.open('wb') as output:
        while block := source.read(_BLOCK):
            while block:
                if frame is None:
                    frame = zstandard.ZstdDecompressor(max_window_size=LARGEST).decompressobj()
                try:
                    output.write(frame.decompress(block))
                except zstandard.ZstdError as error:
                    damage(f'cannot be unpacked from byte {source.tell():,} on ({error})')
                    return
                block = frame.unused_data if frame.eof else b''
                frame = None if frame.eof else frame
    if frame is not None or not packed.stat().st_size:
        damage('is compressed and was cut off')
