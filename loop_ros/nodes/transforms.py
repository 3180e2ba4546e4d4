# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""odom -> base_link on `tf` (REP 105), where tf2_msgs is installed and nobody else says it."""

from __future__ import annotations

import contextlib
import importlib
from collections import deque
from typing import Any

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry

from loop_ros.nodes import qos
from loop_ros.nodes.conversions import BASE_FRAME, time_from_msg
from loop_ros.nodes.managed import ManagedNode

MESSAGE: Any = None
with contextlib.suppress(ImportError):  # in no wheel: requirements/build_messages.py, docs/view.md
    MESSAGE = importlib.import_module('tf2_msgs.msg').TFMessage
OWN = 100  # transforms that are remembered as one's own


class Transforms:
    """Repeats odometry as a transform; falls silent for good where another node has that frame."""

    def __init__(self, node: ManagedNode) -> None:
        self._node = node
        self._publisher: Any = None

    def advertise(self) -> None:
        """Make the publisher, until the node is cleaned up."""
        self._own: deque[tuple[object, ...]] = deque(maxlen=OWN)
        self._other = ''  # frame in which another node has the robot's
        if MESSAGE is not None:
            self._publisher = self._node.advertise(MESSAGE, 'tf', qos.TRANSFORM)

    def subscribe(self) -> None:
        """Listen to others, until the node is deactivated."""
        if MESSAGE is not None:
            self._node.subscribe(MESSAGE, 'tf', self._on_transforms, qos.TRANSFORM)

    def publish(self, odometry: Odometry) -> None:
        """Nothing where nobody listens but this node."""
        publisher = self._publisher
        if publisher is None or self._other or publisher.get_subscription_count() < 2:
            return
        place = odometry.pose.pose.position
        transform = TransformStamped(header=odometry.header)
        transform.child_frame_id = odometry.child_frame_id
        translation = transform.transform.translation
        translation.x, translation.y, translation.z = place.x, place.y, place.z
        transform.transform.rotation = odometry.pose.pose.orientation
        self._own.append(_contents(transform))
        publisher.publish(MESSAGE(transforms=[transform]))

    def _on_transforms(self, message: Any) -> None:
        """Another parent of the robot's frame, or another opinion on it, would tear it in two."""
        for transform in message.transforms:
            is_base = transform.child_frame_id == BASE_FRAME
            if is_base and not self._other and _contents(transform) not in self._own:
                self._other = transform.header.frame_id
                self._node.get_logger().info(
                    f'another node publishes {self._other} -> {BASE_FRAME} on tf: it is left to it'
                )


def _contents(transform: TransformStamped) -> tuple[object, ...]:
    place, turn = transform.transform.translation, transform.transform.rotation
    stamp = time_from_msg(transform.header.stamp)
    return transform.header.frame_id, stamp, place.x, place.y, place.z, turn.z, turn.w
