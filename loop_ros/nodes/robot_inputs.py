# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions to topics of others, whatever quality of service their publishers offer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.qos import DurabilityPolicy
from rclpy.subscription import Subscription

from loop_ros.nodes import qos
from loop_ros.nodes.managed import ManagedNode

LONGEST_WAIT = 5.0  # s for which a message may lie here until it is looked at


class ForeignTopic:
    """A topic that somebody else publishes; counts what comes.

    Best effort and volatile hears every publisher, but misses what a latched one said before. Once
    all publishers turn out to be latched, so is the subscription.
    """

    def __init__(
        self,
        node: ManagedNode,
        message: Any,
        type_name: str,
        topic: str,
        callback: Callable[[Any, float], None],
    ) -> None:
        """`callback` gets each message and how long (s) it has waited here since it came."""
        self.count = 0
        self._node, self._message, self._type = node, message, type_name
        self._callback = callback
        self._latched = False
        self._subscription = self._subscribe(topic)
        self.topic = self._subscription.topic_name

    def adapt(self) -> None:
        """Look at the publishers that are there."""
        offered = self._node.get_publishers_info_by_topic(self.topic)
        latched = bool(offered) and all(
            info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for info in offered
        )
        if latched != self._latched and offered:
            self._latched = latched
            self._node.unsubscribe(self._subscription)
            self._subscription = self._subscribe(self.topic)

    def problem(self) -> str:
        """Why nothing comes, as far as can be seen; empty where something came."""
        if self.count:
            return ''
        types = {i.topic_type for i in self._node.get_publishers_info_by_topic(self.topic)}
        if not types:
            return f'nobody publishes {self.topic}'
        if self._type not in types:
            return f'{self.topic} is published as {", ".join(sorted(types))}, not {self._type}'
        return f'no message so far on {self.topic}'

    def _subscribe(self, topic: str) -> Subscription:
        profile = qos.WEIGHTS if self._latched else qos.STATE
        return self._node.subscribe(self._message, topic, self._hear, profile)

    def _hear(self, message: Any, info: dict[str, int]) -> None:
        self.count += 1
        waited = (time.time_ns() - info['received_timestamp']) / 1e9
        # Where the middleware does not say when, or the clock was set, it came just now.
        self._callback(message, waited if 0.0 <= waited < LONGEST_WAIT else 0.0)
