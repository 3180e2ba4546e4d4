# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag play`: publishes a bag's messages at the times they were recorded."""

import argparse
import sys
import time
from typing import Any

from rosbags.rosbag2 import Reader

from ros2_standalone.bag_reader import messages, open_bag
from ros2_standalone.errors import Ros2Error
from ros2_standalone.messages import message_class
from ros2_standalone.ros import Session, session

_DEPTH = 1000  # messages a publisher keeps for slow reliable subscribers
_ACKNOWLEDGE_TIMEOUT = 2.0  # s to wait for them at the end


class Player:
    """One run of the command. Times of the bag are in ns, times of the wall in s."""

    def __init__(self, args: argparse.Namespace) -> None:
        if args.rate <= 0.0:
            raise Ros2Error(f'--rate is {args.rate:g}; it must be greater than 0')
        self._args = args
        self._clock_publisher: Any = None
        self._publishers: dict[int, Any] = {}  # by connection
        self._next_clock = 0.0

    def run(self) -> int:
        """Play and return the exit code."""
        with open_bag(self._args.bag_path) as bag:
            ros = session()
            connections = self._published(ros, self._selected(bag))
            if self._args.clock:
                clock = message_class('rosgraph_msgs/msg/Clock')
                self._clock_publisher = ros.node.create_publisher(clock, '/clock', 1)
            ros.spin(timeout=self._args.delay)
            while True:
                self._play_once(bag, connections)
                if not self._args.loop:
                    break
            self._wait_for_subscribers()
        return 0

    def _selected(self, bag: Reader) -> list[Any]:
        names = {'/' + name.lstrip('/') for name in self._args.topics}
        connections = [c for c in bag.connections if not names or c.topic in names]
        missing = names - {c.topic for c in connections}
        if missing:
            known = ', '.join(sorted(c.topic for c in bag.connections))
            raise Ros2Error(f"no topic '{min(missing)}' in the bag (topics: {known})")
        return connections

    def _published(self, ros: Session, connections: list[Any]) -> list[Any]:
        """Those whose types are installed, now with publishers; the others are named."""
        wanting = None
        for connection in connections:
            try:
                self._publishers[connection.id] = _publisher(ros, connection)
            except Ros2Error as error:
                wanting = error
                print(f"[WARN] '{connection.topic}' is not played: {error}", file=sys.stderr)
        if wanting is not None and not self._publishers:
            raise wanting
        return [c for c in connections if c.id in self._publishers]

    def _play_once(self, bag: Reader, connections: list[Any]) -> None:
        first = bag.start_time + round(self._args.start_offset * 1e9)
        begin = time.monotonic()
        if not connections or not bag.message_count:
            return
        for connection, stamp, data in messages(bag, self._args.bag_path, connections, first):
            self._wait_until(begin, first, stamp)
            self._publishers[connection.id].publish(bytes(data))

    def _wait_until(self, begin: float, first: int, stamp: int) -> None:
        """Sleep until a message's time has come, publishing /clock meanwhile."""
        due = begin + (stamp - first) / 1e9 / self._args.rate
        while (now := time.monotonic()) < due:
            wake = due
            if self._clock_publisher is not None:
                if now >= self._next_clock:
                    self._publish_clock(first + round((now - begin) * self._args.rate * 1e9))
                    self._next_clock = now + 1.0 / self._args.clock
                wake = min(due, self._next_clock)
            time.sleep(max(0.0, wake - now))

    def _publish_clock(self, stamp: int) -> None:
        message = message_class('rosgraph_msgs/msg/Clock')()
        message.clock.sec, message.clock.nanosec = divmod(stamp, 10**9)
        self._clock_publisher.publish(message)

    def _wait_for_subscribers(self) -> None:
        """Let reliable subscribers have the last messages before the publishers go."""
        from rclpy.duration import Duration

        for publisher in self._publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_TIMEOUT))


def _publisher(ros: Session, connection: Any) -> Any:
    """Return a publisher that offers what the recorded publishers offered."""
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    offered = connection.ext.offered_qos_profiles
    best_effort = any(o.reliability.name == 'BEST_EFFORT' for o in offered)
    durable = bool(offered) and all(o.durability.name == 'TRANSIENT_LOCAL' for o in offered)
    qos = QoSProfile(
        depth=_DEPTH,
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if durable else DurabilityPolicy.VOLATILE,
    )
    return ros.node.create_publisher(message_class(connection.msgtype), connection.topic, qos)
