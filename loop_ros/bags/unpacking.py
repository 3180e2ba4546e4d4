# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed chunks of MCAP files, unpacked no further than they may be."""

from __future__ import annotations

import zlib

import lz4.frame
import zstandard

LARGEST = 2**28  # bytes of a record, packed or not; recorders write chunks of one or a few 2**20


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
