# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every node of the package does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from stack import until
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes import qos, views
from loop_ros.nodes.managed import ManagedNode


@pytest.fixture
def node(ros_domain: int) -> Iterator[ManagedNode]:
    rclpy.init()
    node = ManagedNode('learner')
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


def test_who_cannot_be_heard_is_named_in_the_diagnostics(node: ManagedNode) -> None:
    other = Ears('driver')
    heard = other.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
    reliable = other.create_publisher(Float64MultiArray, 'transition', qos.TRANSITION)
    try:
        node.trigger_configure()
        node.subscribe(Float64MultiArray, 'transition', lambda message: None, qos.TRANSITION)

        def says(level: bytes, text: str) -> None:
            def said() -> bool:
                node.publish_diagnostics('learning', 'drift_car', views.OK, 'learning', {})
                found = heard[-1].status[0] if heard else None
                return found is not None and (found.level, found.message) == (level, text)

            until(said, 30, text)

        until(lambda: node.count_publishers('transition') == 1, 30, 'the publisher')
        says(views.OK, 'learning')
        other.create_publisher(Float64MultiArray, 'transition', qos.TELEMETRY)
        until(lambda: node.count_publishers('transition') == 2, 30, 'the second publisher')
        says(
            views.WARN,
            'learning; /transition of driver is best effort, which is not heard here: '
            'publish it reliably',
        )
        del reliable
    finally:
        other.close()
