# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights and training state on disk: safetensors and JSON, atomic, verified by digest."""

from loop_ros.checkpoint.files import (
    METADATA_FILE,
    SNAPSHOT_FILE,
    NotFiniteError,
    pack,
    read,
    read_file,
    read_metadata,
    replace_file,
    resolve,
    take_over,
    unpack,
    write,
)

__all__ = [
    'METADATA_FILE',
    'SNAPSHOT_FILE',
    'NotFiniteError',
    'pack',
    'read',
    'read_file',
    'read_metadata',
    'replace_file',
    'resolve',
    'take_over',
    'unpack',
    'write',
]
