# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 bag on disk: an MCAP file and its metadata.yaml, both valid at any time."""

import os
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
    channel: int
    name: str
    type_name: str
    qos: list[dict[str, Any]]
    hash: str


class BagWriter:
    """Writes a bag folder like `ros2 bag record -s mcap` does."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            raise Ros2Error(f"the bag '{path}' exists already; choose another --output") from None
        except OSError as error:
            raise Ros2Error(f"cannot create the bag '{path}': {error.strerror}") from None
        self._path = path
        self._file = path / f'{path.resolve().name}_0.mcap'
        self._mcap = DurableMcap(self._file, f'ros2_standalone {__version__}')
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._topics: dict[str, _Topic] = {}
        self._dirty = True
        self.flush()

    @property
    def message_count(self) -> int:
        """Messages written so far."""
        return self._mcap.message_count

    def add_topic(self, name: str, type_name: str, qos: list[dict[str, Any]]) -> None:
        """Add a topic; qos: the profiles its publishers offer (see qos.qos_dictionary).

        :raises Ros2Error: a type whose definition is not known.
        """
        try:
            definition, _ = self._typestore.generate_msgdef(type_name, ros_version=2)
            hash_ = self._typestore.hash_rihs01(type_name)
        except (KeyError, TypesysError):
            raise Ros2Error(f"the definition of '{type_name}' is not known") from None
        text = yaml.safe_dump(qos, sort_keys=False)
        channel = self._mcap.add_channel(name, type_name, definition, text, hash_)
        self._topics[name] = _Topic(channel, name, type_name, qos, hash_)
        self._dirty = True

    def write(self, topic: str, time_ns: int, data: bytes) -> None:
        """Add a serialized message; time_ns: of receipt, since the epoch."""
        self._mcap.write(self._topics[topic].channel, time_ns, data)
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
                'message_count': self._mcap.count(topic.channel),
            }
            for topic in self._topics.values()
        ]
        return {
            'version': 9,
            'storage_identifier': 'mcap',
            **self._span(),
            'topics_with_message_count': topics,
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [self._file.name],
            'files': [{'path': self._file.name, **self._span()}],
            'custom_data': None,
            'ros_distro': os.environ.get('ROS_DISTRO', 'jazzy'),
        }

    def _span(self) -> dict[str, Any]:
        mcap = self._mcap
        return {
            'duration': {'nanoseconds': mcap.end_time - mcap.start_time},
            'starting_time': {'nanoseconds_since_epoch': mcap.start_time},
            'message_count': mcap.message_count,
        }
