# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 bag on disk: MCAP files and their metadata.yaml, all valid at any time."""

import os
from pathlib import Path
from typing import Any

import yaml
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.base import TypesysError

from loop_ros.bags.contents import Contents, Topic, information, write_metadata
from ros2_standalone import __version__
from ros2_standalone.durable_mcap import DurableMcap
from ros2_standalone.errors import Ros2Error

_FLUSH_BYTES = 4 * 2**20  # flush before so much is lost or held in memory


class BagWriter:
    """Writes a bag folder like `ros2 bag record -s mcap` does.

    A new file begins where the present one has reached `max_size` bytes or `max_duration` s; 0
    for a single file.
    """

    def __init__(self, path: Path, max_size: int = 0, max_duration: float = 0.0) -> None:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise Ros2Error(f"the bag '{path}' exists already; choose another --output") from None
        except OSError as error:
            raise Ros2Error(f"cannot create the bag '{path}': {error.strerror}") from None
        self._path = path
        self._max_size, self._max_duration = max_size, round(max_duration * 1e9)
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._topics: dict[str, tuple[Topic, str]] = {}  # by name, with its definition
        self._channels: dict[str, int] = {}  # of the present file, by topic
        self._files: dict[str, Contents] = {}  # by name; the last is the present one
        self._open()
        self.flush()

    @property
    def message_count(self) -> int:
        """Messages written so far."""
        return sum(contents.messages for contents in self._files.values())

    def add_topic(
        self,
        name: str,
        type_name: str,
        qos: list[dict[str, Any]],
        definition: tuple[str, str] | None = None,
    ) -> None:
        """Add a topic; qos: the profiles its publishers offer (see qos.qos_dictionary).

        definition: the type's ros2msg text and RIHS01, where they are at hand.

        :raises Ros2Error: a type whose definition is not known.
        """
        text, hash_ = definition or self._definition(type_name)
        profiles = yaml.safe_dump(qos, sort_keys=False)
        self._topics[name] = Topic(name, type_name, 'cdr', profiles, hash_), text
        self._add_channel(name)
        self._dirty = True

    def has_topic(self, name: str) -> bool:
        """Whether it was added before."""
        return name in self._topics

    def _definition(self, type_name: str) -> tuple[str, str]:
        try:
            text, _ = self._typestore.generate_msgdef(type_name, ros_version=2)
            return str(text), str(self._typestore.hash_rihs01(type_name))
        except (KeyError, TypesysError):
            raise Ros2Error(f"the definition of '{type_name}' is not known") from None

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        """Add a serialized message; time_ns: of receipt, since the epoch."""
        if self._is_full(time_ns):
            self._split()
        self._mcap.write(self._channels[topic], time_ns, data)
        self._present.add(self._topics[topic][0], time_ns)
        self._dirty = True
        if self._mcap.pending_bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put everything on disk."""
        if self._dirty:
            self._mcap.flush()
            distro = os.environ.get('ROS_DISTRO', 'jazzy')
            found = information('mcap', self._files, {'ros_distro': distro})
            write_metadata(self._path, found)
            self._dirty = False

    def close(self) -> None:
        """Put everything on disk and close."""
        self.flush()
        self._mcap.close()

    def _is_full(self, time_ns: int) -> bool:
        """Whether the next message belongs into a new file."""
        if self._present.start is None:
            return False
        too_large = 0 < self._max_size <= self._mcap.size
        return too_large or 0 < self._max_duration <= time_ns - self._present.start

    def _split(self) -> None:
        self._mcap.close()
        self._open()
        for name in self._topics:
            self._add_channel(name)
        self.flush()

    def _open(self) -> None:
        """Begin a file."""
        name = f'{self._path.resolve().name}_{len(self._files)}.mcap'
        self._mcap = DurableMcap(self._path / name, f'ros2_standalone {__version__}')
        self._present = self._files[name] = Contents()
        self._dirty = True

    def _add_channel(self, name: str) -> None:
        topic, definition = self._topics[name]
        self._present.topics[topic] = 0
        self._channels[name] = self._mcap.add_channel(
            topic.name, topic.kind, definition, topic.qos, topic.hash
        )
