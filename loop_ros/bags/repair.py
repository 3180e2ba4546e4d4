# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole bag of what is whole in one whose recording was cut off."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loop_ros.bags import mcap_copy, sqlite_copy
from loop_ros.bags.channel import Damage
from loop_ros.bags.contents import Contents, information, write_metadata
from loop_ros.bags.storage import Bag, find_bags, plain_name, unpacked
from loop_ros.bags.summary import number

Copy = Callable[[Path, Path, Damage], Contents]
_STORAGES = {'.mcap': ('mcap', mcap_copy.copy), '.db3': ('sqlite3', sqlite_copy.copy)}


@dataclass
class Repaired:
    """What was kept, and notes of what was not."""

    files: dict[str, Contents] = field(default_factory=dict)  # by name
    notes: list[str] = field(default_factory=list)

    @property
    def contents(self) -> Contents:
        """What all files hold together."""
        return sum(self.files.values(), Contents())

    def describe(self) -> str:
        """What was kept and lost, in a few lines of text."""
        kept = self.contents
        what = f'{number(kept.messages, "message")} in {number(len(self.files), "file")}'
        lines = [f'kept {what}, {(kept.end - (kept.start or 0)) / 1e9:.1f} s']
        width = max(len(topic.name) for topic in kept.topics)
        lines += [f'  {topic.name:{width}}  {count:,}' for topic, count in kept.topics.items()]
        return '\n'.join([*lines, *(self.notes or ['nothing was lost'])])


def repair(path: Path, out: Path) -> Repaired:
    """Write the bag at `path` to `out`, file by file, with all messages that are whole.

    Messages, times, definitions and QoS stay as they were recorded; indexes and metadata.yaml are
    made again. Files and messages that were compressed no longer are. A file without a whole
    message is left out. `path` is only read, and `out` is there when all of it is. ValueError
    where `out` exists, for several bags, and where nothing is whole.
    """
    bag = _one(path)
    if os.path.lexists(out):
        raise ValueError(f"'{out}' exists already; a repaired bag is a new one")
    if bag.path.is_dir() and bag.path.resolve() in out.resolve().parents:
        raise ValueError(f"'{out}' is inside the bag, which stays as it is")
    storage, copy = _storage(bag)
    found = Repaired()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as workshop:
        made = Path(workshop) / out.name
        made.mkdir()
        for file in bag.files:
            damage = functools.partial(_note, found, file)
            plain = unpacked(file, Path(workshop), damage)
            try:
                contents = copy(plain, made / plain.name, damage)
            except ValueError as error:
                damage(str(error))
                contents = Contents()
            if plain != file:
                plain.unlink()
            if contents.messages:
                found.files[plain.name] = contents
            else:
                (made / plain.name).unlink(missing_ok=True)
                found.notes.append(f"'{file}' holds no whole message: left out")
        if not found.files:
            raise ValueError(f"there is no whole message in '{path}'")
        before = bag.metadata()
        listed = before.get('message_count')
        if isinstance(listed, int) and listed > found.contents.messages:
            lost = number(listed - found.contents.messages, 'message')
            found.notes.append(f'{lost} that metadata.yaml counted are lost')
        write_metadata(made, information(storage, found.files, before))
        for file in made.iterdir():
            with file.open('rb') as written:
                os.fsync(written)
        made.rename(out)
    return found


def _note(found: Repaired, file: Path, what: str) -> None:
    found.notes.append(f"'{file}' {what}")


def _one(path: Path) -> Bag:
    bags = find_bags([path])
    if len(bags) > 1:
        raise ValueError(f"'{path}' holds {len(bags)} bags; name one of them")
    return bags[0]


def _storage(bag: Bag) -> tuple[str, Copy]:
    kinds = {Path(plain_name(file)).suffix for file in bag.files}
    if len(kinds) > 1:
        raise ValueError(f"'{bag.path}' has both .mcap and .db3 files; name one of them")
    return _STORAGES[kinds.pop()]
