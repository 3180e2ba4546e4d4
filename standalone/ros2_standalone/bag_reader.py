# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens a bag for reading, with errors a person can act on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import Reader, ReaderError

from ros2_standalone.errors import Ros2Error


@contextmanager
def open_bag(text: str) -> Iterator[Any]:
    """Open a bag folder, or the folder of a bag's .mcap file, as a rosbags Reader.

    :raises Ros2Error: no bag there, or a broken one.
    """
    path = Path(text)
    if path.is_file():
        path = path.parent
    if not path.is_dir():
        raise Ros2Error(f"the bag '{text}' does not exist")
    try:
        reader = Reader(path)
        reader.open()
    except (ReaderError, OSError) as error:
        raise Ros2Error(f"cannot read the bag '{text}': {error}") from None
    try:
        yield reader
    finally:
        reader.close()
