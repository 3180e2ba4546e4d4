# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures as plots have them: one std_msgs/Float64 topic each."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.publisher import Publisher
from std_msgs.msg import Float64

from loop_ros.nodes import qos
from loop_ros.nodes.managed import ManagedNode


class Figures:
    """Publishes what somebody subscribes to; the rest costs a microsecond each."""

    def __init__(self, node: ManagedNode, prefix: str, names: tuple[str, ...]) -> None:
        """Topics are `prefix` and a name, and live until the node is cleaned up."""
        self._publishers: dict[str, Publisher] = {
            name: node.advertise(Float64, f'{prefix}{name}', qos.FIGURE) for name in names
        }

    def publish(self, values: Mapping[str, float]) -> None:
        """Those of the figures that are there."""
        for name, publisher in self._publishers.items():
            if name in values and publisher.get_subscription_count() > 0:
                publisher.publish(Float64(data=float(values[name])))
