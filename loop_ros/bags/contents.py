# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the files of a bag hold, and the metadata.yaml that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from loop_ros import plain_yaml

_TEXT_QOS = 9  # the first version of metadata.yaml with 'keep_last' instead of 1


class Topic(NamedTuple):
    """A topic as it was recorded."""

    name: str
    kind: str  # as 'std_msgs/msg/String'
    serialization: str
    qos: str  # the profiles that publishers offered, in YAML
    hash: str  # of the type's definition


@dataclass
class Contents:
    """Messages by topic and the times (ns) of the first and the last."""

    topics: Counter[Topic] = field(default_factory=Counter)
    start: int | None = None
    end: int = 0

    @property
    def messages(self) -> int:
        """The number of messages of all topics."""
        return self.topics.total()

    def add(self, topic: Topic, time: int) -> None:
        """Count a message received at `time` ns."""
        self.topics[topic] += 1
        self.start = time if self.start is None else min(self.start, time)
        self.end = max(self.end, time)

    def __add__(self, other: Contents) -> Contents:
        starts = [each.start for each in (self, other) if each.start is not None]
        topics = self.topics.copy()
        topics.update(other.topics)  # keeps topics without a message, which + does not
        return Contents(topics, min(starts, default=None), max(self.end, other.end))


def information(
    storage: str, files: Mapping[str, Contents], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The contents of metadata.yaml, in the version in which the topics' QoS is written.

    `storage` is 'mcap' or 'sqlite3', `files` what each holds, by name. `before` is the metadata of
    the bag from which they were made, or has what else is known: 'ros_distro', 'custom_data'.
    """
    before = before or {}
    whole = sum(files.values(), Contents())
    profiles = {topic: _profiles(topic) for topic in whole.topics}
    text_qos = any(isinstance(p.get('history'), str) for each in profiles.values() for p in each)
    topics = [
        {
            'topic_metadata': {
                'name': topic.name,
                'type': topic.kind,
                'serialization_format': topic.serialization,
                'offered_qos_profiles': profiles[topic] if text_qos else topic.qos,
                'type_description_hash': topic.hash,
            },
            'message_count': count,
        }
        for topic, count in whole.topics.items()
    ]
    return {
        'version': _TEXT_QOS if text_qos else _TEXT_QOS - 1,
        'storage_identifier': storage,
        **_span(whole),
        'topics_with_message_count': topics,
        'compression_format': '',
        'compression_mode': '',
        'relative_file_paths': list(files),
        'files': [{'path': name, **_span(contents)} for name, contents in files.items()],
        'custom_data': before.get('custom_data'),
        'ros_distro': before.get('ros_distro', ''),
    }


def write_metadata(folder: Path, found: Mapping[str, Any]) -> None:
    """Write `information` as metadata.yaml of the bag `folder`, in place of what was there."""
    temporary = folder / 'metadata.yaml.tmp'
    text = yaml.safe_dump({'rosbag2_bagfile_information': found}, sort_keys=False)
    temporary.write_text(text, encoding='utf-8')
    temporary.replace(folder / 'metadata.yaml')


def _span(contents: Contents) -> dict[str, Any]:
    start = contents.start or 0
    return {
        'starting_time': {'nanoseconds_since_epoch': start},
        'duration': {'nanoseconds': max(0, contents.end - start)},
        'message_count': contents.messages,
    }


def _profiles(topic: Topic) -> list[dict[str, Any]]:
    try:
        found = plain_yaml.load(str(topic.qos))
    except ValueError:
        return []
    return found if isinstance(found, list) else []
