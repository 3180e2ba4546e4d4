# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag record`: subscribes to topics as they appear and writes what they carry."""

import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ros2_standalone.bag_writer import BagWriter
from ros2_standalone.errors import Ros2Error
from ros2_standalone.messages import message_class
from ros2_standalone.qos import matching_qos, qos_dictionary, weaker
from ros2_standalone.ros import Session, is_hidden, session

_FLUSH_PERIOD = 0.5  # s: what a kill can cost
_DISCOVERY_PERIOD = 0.2  # s between looks at the graph
_DEPTH = 1000  # messages a subscription may hold while this process is busy


def record(
    topics: list[str],
    all_topics: bool,
    output: str | None,
    limits: tuple[int, float] = (0, 0.0),
) -> int:
    """Record until SIGINT or SIGTERM and return the exit code.

    limits: bytes and s after which a new file begins; 0 for never.

    :raises Ros2Error: nothing to record, or the bag cannot be created or written.
    """
    if all_topics == bool(topics):
        raise Ros2Error('give either the topics to record or -a for all of them')
    if min(limits) < 0:
        raise Ros2Error(f'--max-bag-size and --max-bag-duration are {limits}; 0 is for never')
    path = Path(output or datetime.now().strftime('rosbag2_%Y_%m_%d-%H_%M_%S'))
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stop.append(number))
    try:
        recorder = _Recorder(session(), BagWriter(path, *limits), None if all_topics else topics)
        _say('Listening for topics...')
        recorder.run(until=lambda: bool(stop))
        recorder.close()
    except OSError as error:  # left as a kill would: an index would name what is not there
        raise Ros2Error(
            f"recording ends: {error.strerror}; '{path}' can be read up to what was written last"
        ) from None
    _say(f"Recorded {recorder.message_count} messages to '{path}'")
    return 0


class _Recorder:
    """Subscriptions and the bag they are written to; topics: None for all that are not hidden."""

    def __init__(self, ros: Session, bag: BagWriter, topics: list[str] | None) -> None:
        self._ros = ros
        self._wanted = None if topics is None else {'/' + name.lstrip('/') for name in topics}
        self._bag = bag
        self._subscriptions: dict[str, tuple[Any, Any]] = {}  # by topic: subscription, its QoS
        self._given_up: set[str] = set()

    def run(self, until: Callable[[], bool]) -> None:
        """Record until the condition holds."""
        next_look = next_flush = 0.0
        while not until():
            now = time.monotonic()
            if now >= next_look:
                self._look()
                next_look = now + _DISCOVERY_PERIOD
            if now >= next_flush:
                self._bag.flush()
                next_flush = now + _FLUSH_PERIOD
            self._ros.spin(until, timeout=min(next_look, next_flush) - now)

    def close(self) -> None:
        """Write what is pending and close the bag."""
        self._bag.close()

    @property
    def message_count(self) -> int:
        """Messages recorded so far."""
        return self._bag.message_count

    def _look(self) -> None:
        """Subscribe to new topics; subscribe again where a publisher offers less than is asked."""
        for topic, types in self._ros.node.get_topic_names_and_types():
            if is_hidden(topic) if self._wanted is None else topic not in self._wanted:
                continue
            publishers = self._ros.node.get_publishers_info_by_topic(topic)
            if not publishers or topic in self._given_up:
                continue
            qos = matching_qos(publishers, _DEPTH)
            if topic not in self._subscriptions:
                self._add(topic, types, publishers, qos)
            elif weaker(qos, self._subscriptions[topic][1]):
                self._ros.node.destroy_subscription(self._subscriptions[topic][0])
                self._subscribe(topic, types[0], qos)

    def _add(self, topic: str, types: list[str], publishers: list[Any], qos: Any) -> None:
        try:
            if len(types) > 1:
                raise Ros2Error(f'it has more than one type: {", ".join(types)}')
            message_class(types[0])
            offered = [qos_dictionary(publisher.qos_profile) for publisher in publishers]
            self._bag.add_topic(topic, types[0], offered)
        except Ros2Error as error:
            self._given_up.add(topic)
            _say(f"cannot record topic '{topic}': {error}", 'WARN')
            return
        self._subscribe(topic, types[0], qos)
        _say(f"Subscribed to topic '{topic}'")

    def _subscribe(self, topic: str, type_name: str, qos: Any) -> None:
        def receive(data: bytes) -> None:
            self._bag.write(topic, time.time_ns(), data)

        subscription = self._ros.node.create_subscription(
            message_class(type_name), topic, receive, qos, raw=True
        )
        self._subscriptions[topic] = (subscription, qos)


def _say(message: str, level: str = 'INFO') -> None:
    print(f'[{level}] [rosbag2_recorder]: {message}', file=sys.stderr, flush=True)
