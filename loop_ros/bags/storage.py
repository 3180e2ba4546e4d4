# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where bags are and which files they have; one way to read all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader, ReaderError

from loop_ros import plain_yaml
from loop_ros.bags import sqlite_file
from loop_ros.bags.channel import Burst, Channel, Definition
from loop_ros.bags.mcap_file import McapScan

_SUFFIXES = ('.mcap', '.db3')
_COMPRESSED = ('.mcap.zstd', '.db3.zstd')
_BURST_MESSAGES = 2000


@dataclass(frozen=True)
class Bag:
    """One recording: a folder of files in order, or a single file."""

    path: Path
    files: tuple[Path, ...]

    def topics(self) -> set[Channel]:
        """Topics that have messages, by the bag's own list, else by reading it through."""
        listed = _listed(self.metadata().get('topics_with_message_count'))
        if listed is not None:
            return listed
        found: set[Channel] = set()
        for file in self.files:
            if file.suffix == '.db3':
                found |= sqlite_file.channels(file)
            elif file.suffix == '.mcap':
                scan = McapScan(file, lambda _: False, lambda _: None)
                for _ in scan.bursts():
                    pass
                found |= set(scan.channels.values())
        return found

    def definitions(self, kinds: Collection[str]) -> dict[str, Definition]:
        """How the bag defines these types; without those that it does not."""
        if self._is_compressed():
            found = self._compressed_definitions()
        else:
            found = {}
            for file in self.files:
                if file.suffix == '.db3':
                    found |= sqlite_file.definitions(file)
                elif file.suffix == '.mcap':
                    scan = McapScan(file, lambda _: False, lambda _: None)
                    for _ in scan.bursts():
                        if scan.definitions.keys() >= set(kinds):
                            break
                    found |= scan.definitions
                if found.keys() >= set(kinds):
                    break
        return {kind: found[kind] for kind in kinds if kind in found}

    def bursts(
        self, wanted: Callable[[Channel], bool], note: Callable[[str], None]
    ) -> Iterator[Burst]:
        """Messages of wanted topics, as many at a time as a file holds together.

        `note` is told of each file that is damaged, which is then read up to the damage.
        """
        if self._is_compressed():
            yield from self._compressed(wanted)
            return
        for file in self.files:

            def damage(what: str, file: Path = file) -> None:
                note(f"'{file}' {what}: read up to its last whole message")

            if file.suffix == '.db3':
                yield from sqlite_file.bursts(file, wanted, damage)
            elif file.suffix == '.mcap':
                yield from McapScan(file, wanted, damage).bursts()
            else:
                damage('is compressed and its bag has no metadata.yaml')

    def _compressed(self, wanted: Callable[[Channel], bool]) -> Iterator[Burst]:
        try:
            with Reader(self.path) as reader:
                chosen = [c for c in reader.connections if wanted(Channel(c.topic, c.msgtype))]
                burst: Burst = {}
                messages = reader.messages(chosen) if chosen else ()
                for count, (connection, time, data) in enumerate(messages):
                    channel = Channel(connection.topic, connection.msgtype)
                    burst.setdefault(channel, []).append((time, bytes(data)))
                    if count % _BURST_MESSAGES == _BURST_MESSAGES - 1:
                        yield burst
                        burst = {}
                yield burst
        except ReaderError as error:
            raise ValueError(f"the compressed bag '{self.path}' cannot be read: {error}") from None

    def _is_compressed(self) -> bool:
        return str(self.metadata().get('compression_mode', '')).lower() in ('file', 'message')

    def _compressed_definitions(self) -> dict[str, Definition]:
        encodings = {MessageDefinitionFormat.MSG: 'ros2msg', MessageDefinitionFormat.IDL: 'ros2idl'}
        try:
            with Reader(self.path) as reader:
                return {
                    c.msgtype: Definition(encodings[c.msgdef.format], c.msgdef.data)
                    for c in reader.connections
                    if c.msgdef.format in encodings
                }
        except ReaderError:
            return {}

    def metadata(self) -> dict[str, Any]:
        """The bag's own description; empty where there is none that can be read."""
        try:
            found = plain_yaml.load((self.path / 'metadata.yaml').read_text(encoding='utf-8'))
            return dict(found['rosbag2_bagfile_information'])
        except (OSError, TypeError, KeyError, ValueError):
            return {}


def _listed(topics: Any) -> set[Channel] | None:
    """What a metadata.yaml lists with messages; None where it does so in no known way."""
    try:
        return {
            Channel(str(t['topic_metadata']['name']), str(t['topic_metadata']['type']))
            for t in topics
            if t['message_count']
        }
    except (TypeError, KeyError):
        return None


def find_bags(paths: Sequence[Path]) -> list[Bag]:
    """Bags at paths: bag folders, bag files, or folders that hold bags at any depth.

    ValueError for a path without any.
    """
    bags: list[Bag] = []
    for path in paths:
        found = list(_bags_at(path))
        if not found:
            what = 'no bag in' if path.exists() else 'there is no'
            raise ValueError(f"{what} '{path}'; a bag is a folder with .mcap or .db3 files")
        bags += found
    return bags


def _bags_at(path: Path) -> Iterator[Bag]:
    if path.is_file() and path.name.endswith(_SUFFIXES):
        yield Bag(path, (path,))
    elif path.is_dir():
        files = [file for file in path.iterdir() if file.name.endswith((*_SUFFIXES, *_COMPRESSED))]
        if files:
            yield Bag(path, tuple(sorted(files, key=_natural)))
            return
        for folder in sorted((entry for entry in path.iterdir() if entry.is_dir()), key=_natural):
            yield from _bags_at(folder)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key to sort by, with which file 10 comes after file 9."""
    parts = re.split(r'(\d+)', path.name)
    return [(int(part) if part.isdigit() else -1, part) for part in parts]
