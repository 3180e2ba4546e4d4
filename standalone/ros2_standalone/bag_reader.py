# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens a bag for reading, with errors a person can act on."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.rosbag2 import Reader

from ros2_standalone.errors import Ros2Error


@contextmanager
def open_bag(text: str) -> Iterator[Any]:
    """Open a bag folder, or the folder of a bag's .mcap file, as a rosbags Reader.

    Of one whose recording was cut off, a repaired copy is opened; the bag stays as it is.

    :raises Ros2Error: no bag there, or a broken one.
    """
    path = Path(text)
    if path.is_file():
        path = path.parent
    if not path.is_dir():
        raise Ros2Error(f"the bag '{text}' does not exist")
    with ExitStack() as stack:
        try:
            reader = _opened(path)
        except Exception as error:  # half a file makes the reader say many things
            if not list(path.glob('*.mcap')):
                raise Ros2Error(f"cannot read the bag '{text}': {error}") from None
            folder = stack.enter_context(TemporaryDirectory(prefix='ros2_bag_'))
            copy = Path(folder) / path.resolve().name
            count = _repaired(path, copy)
            print(
                f"[WARN] the bag '{text}' was left unfinished ({error}): "
                f'continuing with the {count} messages that are whole',
                file=sys.stderr,
            )
            reader = _opened(copy)
        stack.callback(reader.close)
        yield reader


def _repaired(path: Path, copy: Path) -> int:
    """Write what is whole in a bag to a new one and return its messages."""
    from loop_ros.bags.repair import repair  # few bags need it, and it takes time to import

    try:
        return repair(path, copy).contents.messages
    except ValueError as error:
        raise Ros2Error(f"cannot read the bag '{path}': {error}") from None


def _opened(path: Path) -> Reader:
    reader = Reader(path)
    reader.open()
    return reader
