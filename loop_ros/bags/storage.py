# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where bags are and which files they have; one way to read all of them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop_ros import plain_yaml
from loop_ros.bags.channel import Burst, Channel, Damage, Definition
from loop_ros.bags.mcap_file import McapFile
from loop_ros.bags.sqlite_file import SqliteFile
from loop_ros.bags.unpacking import ZSTD, unpack_file, unpack_message

_KINDS: dict[str, type[McapFile] | type[SqliteFile]] = {'.mcap': McapFile, '.db3': SqliteFile}
_PACKED = ('.zstd', '.zst')
_NAMES = tuple(kind + packed for kind in _KINDS for packed in ('', *_PACKED))


@dataclass(frozen=True)
class Bag:
    """One recording: a folder of files in order, or a single file."""

    path: Path
    files: tuple[Path, ...]

    @contextmanager
    def opened(self) -> Iterator[OpenBag]:
        """Its contents; compressed files are unpacked into a temporary folder meanwhile."""
        is_any_packed = any(map(_is_packed, self.files))
        workshop = (
            tempfile.TemporaryDirectory(prefix='loop_ros_bag_')
            if is_any_packed
            else nullcontext('')
        )
        with workshop as folder:
            yield OpenBag(self, Path(folder))

    def metadata(self) -> dict[str, Any]:
        """The bag's own description; empty where there is none that can be read."""
        try:
            found = plain_yaml.load((self.path / 'metadata.yaml').read_text(encoding='utf-8'))
            return dict(found['rosbag2_bagfile_information'])
        except (OSError, TypeError, KeyError, ValueError):
            return {}


class OpenBag:
    """What the files of a bag hold, whatever its metadata.yaml says of it."""

    def __init__(self, bag: Bag, folder: Path) -> None:
        """Compressed files are unpacked into `folder`; ValueError for a file of another kind."""
        self.path = bag.path
        self._notes: dict[str, None] = {}  # in order, each once
        self._files = []
        for file in bag.files:
            damage = self._damage(file)
            plain = unpacked(file, folder, damage)
            try:
                self._files.append(_KINDS[plain.suffix](plain, damage))
            except ValueError as error:
                raise ValueError(f"'{file}' {error}") from None

    def topics(self) -> set[Channel]:
        """Topics that have messages."""
        return {channel for file in self._files for channel in file.channels}

    def definitions(self, kinds: Collection[str]) -> dict[str, Definition]:
        """How the bag defines these types; without those that it does not."""
        found: dict[str, Definition] = {}
        for file in self._files:
            found |= {k: d for k, d in file.definitions.items() if k in kinds and k not in found}
        return found

    def bursts(self, wanted: Callable[[Channel], bool]) -> Iterator[Burst]:
        """Messages of wanted topics, in each file by time, as many as it holds together."""
        for file in self._files:
            for burst in file.bursts(wanted):
                yield {
                    channel: [(time, unpack_message(data)) for time, data in messages]
                    for channel, messages in burst.items()
                    if messages
                }

    def notes(self) -> list[str]:
        """What is wrong with files, as far as it was met."""
        return list(self._notes)

    def _damage(self, file: Path) -> Damage:
        def note(what: str) -> None:
            text = f"'{file}' {what}: read up to its last whole message; other programs read what "
            self._notes[text + "'loop-ros repair' makes of it"] = None

        return note


def unpacked(file: Path, folder: Path, damage: Damage) -> Path:
    """The file, or what is in it in `folder` where it is compressed, by its name or contents."""
    if not _is_packed(file):
        return file
    plain = folder / plain_name(file)
    unpack_file(file, plain, damage)
    return plain


def plain_name(file: Path) -> str:
    """The file's name without the ending of its compression."""
    return file.stem if file.suffix in _PACKED else file.name


def find_bags(paths: Sequence[Path]) -> list[Bag]:
    """Bags at paths: bag folders, bag files, or folders that hold bags at any depth.

    Of a file that is there both compressed and not, the one that is not is taken. ValueError for
    a path without any.
    """
    bags: list[Bag] = []
    for path in paths:
        found = list(_bags_at(path))
        if not found:
            what = 'no bag in' if path.exists() else 'there is no'
            raise ValueError(f"{what} '{path}'; a bag is a folder with .mcap or .db3 files")
        bags += found
    return bags


def bag_at(path: Path) -> Bag | None:
    """The bag that a file or folder is itself; None where it is none."""
    if path.is_dir():
        files = {file.name: file for file in path.iterdir() if _is_one(file)}
        chosen = [f for n, f in files.items() if plain_name(f) == n or plain_name(f) not in files]
        return Bag(path, tuple(sorted(chosen, key=_natural))) if chosen else None
    return Bag(path, (path,)) if _is_one(path) else None


def _bags_at(path: Path) -> Iterator[Bag]:
    if (bag := bag_at(path)) is not None:
        yield bag
    elif path.is_dir():
        for folder in sorted((entry for entry in path.iterdir() if entry.is_dir()), key=_natural):
            yield from _bags_at(folder)


def _is_packed(file: Path) -> bool:
    with file.open('rb') as source:
        return file.suffix in _PACKED or source.read(len(ZSTD)) == ZSTD


def _is_one(path: Path) -> bool:
    return path.name.endswith(_NAMES) and path.is_file()


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key to sort by, with which file 10 comes after file 9."""
    parts = re.split(r'(\d+)', path.name)
    return [(int(part) if part.isdigit() else -1, part) for part in parts]
