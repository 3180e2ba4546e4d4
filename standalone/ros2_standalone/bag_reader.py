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
def open_bag(text: str) -> Iterator[Reader]:
    """Open a bag folder, or a single file of one, as a rosbags Reader.

    Of one that it does not read as it is, or of which its metadata.yaml says something else than
    its files do, a repaired copy is opened; the bag stays as it is.

    :raises Ros2Error: no bag there, or nothing in it can be read.
    """
    path = Path(text)
    if not path.exists():
        raise Ros2Error(f"the bag '{text}' does not exist")
    with ExitStack() as stack:
        try:
            reader = _opened(path, stack)
        except Exception as error:  # half a file makes the reader say many things
            if not bag_files(text):
                raise Ros2Error(f"cannot read the bag '{text}': {error}") from None
            wrong = _wrong(path, error)
            folder = stack.enter_context(TemporaryDirectory(prefix='ros2_bag_'))
            copy = Path(folder) / 'bag'
            count = _repaired(path, copy)
            print(
                f"[WARN] the bag '{text}' {wrong}: continuing "
                f"with the {count} messages that are whole, as 'loop-ros repair' keeps them",
                file=sys.stderr,
            )
            reader = _opened(copy, stack)
        yield reader


def messages(
    bag: Reader, text: str, connections: list[Any], start: int | None = None
) -> Iterator[tuple[Any, int, bytes]]:
    """Messages of an opened bag from a time (ns) on.

    :raises Ros2Error: it turns out to be damaged.
    """
    try:
        yield from bag.messages(connections, start)
    except Exception as error:  # whatever damaged bytes make the reader say
        raise Ros2Error(
            f"the bag '{text}' is damaged ({error}): play what 'loop-ros repair' makes of it"
        ) from None


def _wrong(path: Path, error: Exception) -> str:
    """What is the matter with a bag that the reader refuses."""
    from loop_ros.bags.storage import bag_at

    bag = bag_at(path)
    named = [] if bag is None else bag.metadata().get('relative_file_paths', [])
    missing = [name for name in named if not (path / str(name)).exists()]
    if path.is_dir() and missing:
        return f'has files of other names than its metadata.yaml says ({", ".join(missing)})'
    is_described = path.is_file() or (path / 'metadata.yaml').exists()
    return f'is damaged or left unfinished ({error if is_described else "it has no metadata.yaml"})'


def bag_files(text: str) -> list[Path]:
    """The files of a bag, in order; none where there is no bag."""
    from loop_ros.bags.storage import bag_at

    bag = bag_at(Path(text))
    return [] if bag is None else list(bag.files)


def _repaired(path: Path, copy: Path) -> int:
    """Write what is whole in a bag to a new one and return its messages."""
    from loop_ros.bags.repair import repair  # few bags need it, and it takes time to import

    try:
        return repair(path, copy).contents.messages
    except ValueError as error:
        raise Ros2Error(f"cannot read the bag '{path}': {error}") from None


def _opened(path: Path, stack: ExitStack) -> Reader:
    """The bag as it is; raises whatever is wrong with it."""
    from loop_ros.bags.unpacking import ZSTD

    with ExitStack() as mine:
        reader = Reader(path)
        reader.open()
        mine.callback(reader.close)
        files = getattr(reader.storage, 'storages', [reader.storage])
        held = sum(file.metadata.message_count for file in files)
        if held != reader.message_count:
            raise ValueError(f'it holds {held} messages, {reader.message_count} by metadata.yaml')
        first = next(reader.messages(), None)
        if first is not None and first[2][:4] == ZSTD:
            raise ValueError('its messages are compressed, which no metadata.yaml says')
        stack.push(mine.pop_all())
    return reader
