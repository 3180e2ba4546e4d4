# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service: a subscription's, by what publishers offer, and as metadata.yaml has it."""

from collections.abc import Sequence
from typing import Any


def matching_qos(publishers: Sequence[Any], depth: int) -> Any:
    """Return a subscription's QoSProfile that matches all publishers (TopicEndpointInfo).

    Reliable, or transient local, only where all of them offer it: a subscription that asks for
    more than a publisher offers receives nothing from it. No publishers: best effort, volatile.
    """
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

    offers = [publisher.qos_profile for publisher in publishers]
    reliable = bool(offers) and all(o.reliability == ReliabilityPolicy.RELIABLE for o in offers)
    durable = bool(offers) and all(o.durability == DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if durable else DurabilityPolicy.VOLATILE,
    )


def weaker(qos: Any, other: Any) -> bool:
    """Tell whether qos asks for less than other: matches publishers that other does not."""
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    less_reliable = (
        qos.reliability == ReliabilityPolicy.BEST_EFFORT
        and other.reliability == ReliabilityPolicy.RELIABLE
    )
    less_durable = (
        qos.durability == DurabilityPolicy.VOLATILE
        and other.durability == DurabilityPolicy.TRANSIENT_LOCAL
    )
    return less_reliable or less_durable


def qos_dictionary(qos: Any) -> dict[str, Any]:
    """Return a QoSProfile as rosbag2's metadata (version 9) writes it."""

    def duration(value: Any) -> dict[str, int]:
        seconds, nanoseconds = divmod(value.nanoseconds, 10**9)
        return {'sec': seconds, 'nsec': nanoseconds}

    # A remote publisher's history is not part of discovery; rosbag2 writes what is asked for then.
    history = qos.history.name.lower()
    return {
        'history': 'keep_last' if history == 'unknown' else history,
        'depth': max(qos.depth, 1),
        'reliability': qos.reliability.name.lower(),
        'durability': qos.durability.name.lower(),
        'deadline': duration(qos.deadline),
        'lifespan': duration(qos.lifespan),
        'liveliness': qos.liveliness.name.lower(),
        'liveliness_lease_duration': duration(qos.liveliness_lease_duration),
        'avoid_ros_namespace_conventions': bool(qos.avoid_ros_namespace_conventions),
    }
