# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 bag on disk: MCAP files and their metadata.yaml, all valid at any time."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.base import TypesysError

from ros2_standalone import __version__
from ros2_standalone.durable_mcap import DurableMcap
from ros2_standalone.errors import Ros2Error

_FLUSH_BYTES = 4 * 2**20  # flush before so much is lost or held in memory


@dataclass(frozen=True)
class _Topic:
    name: str
    type_name: str
    definition: str
    qos: list[dict[str, Any]]
    hash: str


@dataclass(frozen=True)
class _File:
    """What metadata.yaml says of one file; times in ns since the epoch."""

    name: str
    start_time: int
    end_time: int
    message_count: int

    def entry(self) -> dict[str, Any]:
        return {
            'starting_time': {'nanoseconds_since_epoch': self.start_time},
            'duration': {'nanoseconds': self.end_time - self.start_time},
            'message_count': self.message_count,
        }


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
        self._topics: dict[str, _Topic] = {}
        self._channels: dict[str, int] = {}  # of the present file, by topic
        self._counts: Counter[str] = Counter()  # messages by topic, over all files
        self._finished: list[_File] = []
        self._mcap = self._open()
        self._dirty = True
        self.flush()

    @property
    def message_count(self) -> int:
        """Messages written so far."""
        return self._counts.total()

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
        self._topics[name] = _Topic(name, type_name, text, qos, hash_)
        self._add_channel(self._topics[name])
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
        self._counts[topic] += 1
        self._dirty = True
        if self._mcap.pending_bytes > _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put everything on disk."""
        if self._dirty:
            self._mcap.flush()
            self._write_metadata()
            self._dirty = False

    def close(self) -> None:
        """Put everything on disk and close."""
        self.flush()
        self._mcap.close()

    def _is_full(self, time_ns: int) -> bool:
        """Whether the next message belongs into a new file."""
        if not self._mcap.message_count:
            return False
        too_large = 0 < self._max_size <= self._mcap.size
        return too_large or 0 < self._max_duration <= time_ns - self._mcap.start_time

    def _split(self) -> None:
        self._mcap.close()
        self._finished.append(self._present())
        self._mcap = self._open()
        for topic in self._topics.values():
            self._add_channel(topic)
        self._dirty = True
        self.flush()

    def _open(self) -> DurableMcap:
        return DurableMcap(self._path / self._name(), f'ros2_standalone {__version__}')

    def _name(self) -> str:
        return f'{self._path.resolve().name}_{len(self._finished)}.mcap'

    def _present(self) -> _File:
        mcap = self._mcap
        return _File(self._name(), mcap.start_time, mcap.end_time, mcap.message_count)

    def _add_channel(self, topic: _Topic) -> None:
        qos = yaml.safe_dump(topic.qos, sort_keys=False)
        self._channels[topic.name] = self._mcap.add_channel(
            topic.name, topic.type_name, topic.definition, qos, topic.hash
        )

    def _write_metadata(self) -> None:
        temporary = self._path / 'metadata.yaml.tmp'
        text = yaml.safe_dump({'rosbag2_bagfile_information': self._metadata()}, sort_keys=False)
        temporary.write_text(text, encoding='utf-8')
        os.replace(temporary, self._path / 'metadata.yaml')

    def _metadata(self) -> dict[str, Any]:
        topics = [
            {
                'topic_metadata': {
                    'name': topic.name,
                    'type': topic.type_name,
                    'serialization_format': 'cdr',
                    'offered_qos_profiles': topic.qos,
                    'type_description_hash': topic.hash,
                },
                'message_count': self._counts[topic.name],
            }
            for topic in self._topics.values()
        ]
        files = [*self._finished, self._present()]
        used = [file for file in files if file.message_count] or files
        whole = _File(
            self._path.name,
            min(file.start_time for file in used),
            max(file.end_time for file in used),
            self.message_count,
        )
        return {
            'version': 9,
            'storage_identifier': 'mcap',
            **whole.entry(),
            'topics_with_message_count': topics,
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [file.name for file in files],
            'files': [{'path': file.name, **file.entry()} for file in files],
            'custom_data': None,
            'ros_distro': os.environ.get('ROS_DISTRO', 'jazzy'),
        }
