# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A copy of a bag whose recording was cut off, with everything that is whole in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel, DataEnd, Message, Schema
from mcap.stream_reader import StreamReader

from ros2_standalone.bag_writer import BagWriter


def mend(path: Path, copy: Path) -> int:
    """Write what can be read of the bag folder `path` to a new bag and return its messages.

    :raises Ros2Error: `copy` exists already.
    """
    bag = BagWriter(copy)
    for file in sorted(path.glob('*.mcap'), key=_number):
        known: set[str] = set()
        for schema, channel, message in _messages(file):
            if channel.topic not in known:
                known.add(channel.topic)
                _add_topic(bag, schema, channel)
            bag.write(channel.topic, message.log_time, message.data)
    bag.close()
    return bag.message_count


def _add_topic(bag: BagWriter, schema: Any, channel: Any) -> None:
    if bag.has_topic(channel.topic):
        return
    qos = yaml.safe_load(channel.metadata.get('offered_qos_profiles', '')) or []
    hash_ = channel.metadata.get('topic_type_hash', '')
    bag.add_topic(channel.topic, schema.name, qos, (schema.data.decode(), hash_))


def _messages(file: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Messages with their schema and channel, up to the first record that is not whole."""
    schemas: dict[int, Any] = {}
    channels: dict[int, Any] = {}
    with file.open('rb') as stream:
        try:
            for record in StreamReader(stream, validate_crcs=True).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message):
                    channel = channels[record.channel_id]
                    yield schemas[channel.schema_id], channel, record
                elif isinstance(record, DataEnd):
                    return
        except GeneratorExit:
            raise
        except Exception:  # whatever damaged bytes make the reader say
            return


def _number(file: Path) -> tuple[int, str]:
    """So that file 10 comes after file 9."""
    digits = re.search(r'(\d+)$', file.stem)
    return int(digits[1]) if digits else -1, file.name
