# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node that says too much: `python flood.py COUNT TOPIC ...` publishes so many messages."""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Iterator
from itertools import count, cycle, islice
from typing import Any

import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, UInt8MultiArray

from loop_ros import layout
from loop_ros.nodes import conversions, qos
from loop_ros.sim import registry
from loop_ros.types import Transition

CAR = registry.task('drift_car')
PERIOD = 35_000_000  # ns
RATE = 10_000.0  # messages a second, at most
EPISODE = 10**6  # of transitions that no robot sent
TOPICS: dict[str, tuple[type, Any]] = {
    'odom': (Odometry, qos.STATE),
    'command': (JointState, qos.COMMAND),
    'transition': (Float64MultiArray, qos.TRANSITION),
    'weights': (UInt8MultiArray, qos.WEIGHTS),
    'clock': (Clock, qos.CLOCK),
    'planner/telemetry': (Float64MultiArray, qos.TELEMETRY),
}


def states(rng: np.random.Generator) -> list[Any]:
    """States from anywhere at any time, a tenth of them not finite."""
    rows = rng.uniform(-3, 3, (100, 6))
    rows[::10, 3] = np.nan
    stamps = (rng.integers(0, 10**6, 100) * PERIOD).tolist()
    return [conversions.odometry_to_msg(r, CAR, t) for r, t in zip(rows, stamps, strict=True)]


def commands(rng: np.random.Generator) -> list[Any]:
    """Commands within and beyond the limits, a tenth of them not finite."""
    rows = rng.uniform(-20, 20, (100, 2))
    rows[::10, 0] = np.nan
    return [conversions.command_to_msg(row, CAR, 7 * n) for n, row in enumerate(rows)]


def weights(rng: np.random.Generator) -> list[Any]:
    """Noise of any length."""
    return [conversions.weights_to_msg(rng.bytes(n)) for n in (0, 99, 3_000)]


def flooded(count: int) -> list[Transition]:
    """Transitions that differ in nothing but their step and the first action."""
    return [
        Transition(
            0.0, EPISODE, n, np.ones(6), np.array([n * 1e-4, 0]), 0, 0, np.ones(6), False, False
        )
        for n in range(count)
    ]


def transitions() -> Iterator[bytes]:
    """The same as messages, fast enough."""
    (first,) = flooded(1)
    data = bytearray(serialize_message(conversions.transition_to_msg(first, CAR)))
    row = len(data) - 8 * layout.transition_layout(CAR).dim
    for step in count():
        struct.pack_into('<d', data, row + 8 * 2, step)
        struct.pack_into('<d', data, row + 8 * 9, step * 1e-4)
        yield bytes(data)


def messages(topic: str) -> Iterator[bytes]:
    """Serialized messages without end."""
    rng = np.random.default_rng(0)
    if topic == 'transition':
        return transitions()
    few = {
        'odom': lambda: states(rng),
        'command': lambda: commands(rng),
        'weights': lambda: weights(rng),
        'clock': lambda: [Clock(clock=conversions.time_to_msg(t)) for t in (0, 10**18, 10**9)],
        'planner/telemetry': lambda: [conversions.telemetry_to_msg({'plan_s': 0.1, 'd0': 9.0})],
    }[topic]()
    return cycle([serialize_message(message) for message in few])


def pour(node: Node, topic: str, number: int) -> None:
    """Publish so many messages as fast as RATE, or the machine, allows; says how fast that was."""
    kind, profile = TOPICS[topic]
    publisher = node.create_publisher(kind, topic, profile)
    while not publisher.get_subscription_count():
        time.sleep(0.01)
    begun = time.monotonic()
    for sent, message in enumerate(islice(messages(topic), number)):
        publisher.publish(message)
        if sent % 50 == 0:
            time.sleep(max(0.0, begun + sent / RATE - time.monotonic()))
    seconds = time.monotonic() - begun
    print(f'{topic}: {number} messages in {seconds:.1f} s, {number / seconds:.0f}/s', flush=True)
    node.destroy_publisher(publisher)


def main(number: int, topics: list[str]) -> None:
    """One topic after the other."""
    rclpy.init()
    node = rclpy.create_node('flood')
    for topic in topics:
        pour(node, topic, number)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main(int(sys.argv[1]), sys.argv[2:])
