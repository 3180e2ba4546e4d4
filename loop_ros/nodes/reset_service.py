# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's own service that brings it to where an episode begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.task import Future

from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.robot_messages import interface
from loop_ros.robot.contents import Robot


class ResetService:
    """Called once at a time, as soon as it is there."""

    def __init__(self, node: ManagedNode, robot: Robot, on_answer: Callable[[bool], None]) -> None:
        """`on_answer` is told whether it succeeded; ValueError where its type is unknown."""
        self._node, self._name, self._on_answer = node, robot.episode.service, on_answer
        self._type = interface(robot.episode.service_type, str(robot.path))
        self._client = node.create_client(self._type, self._name)
        self._calling: Future | None = None

    def call(self) -> None:
        """Call it, unless a call has no answer yet."""
        if self._calling is not None and not self._calling.done():
            return
        if not self._client.service_is_ready():
            self._node.warn('service', f'{self._name} is not there: waiting for it')
            return
        self._calling = self._client.call_async(self._type.Request())
        self._calling.add_done_callback(self._on_called)

    def close(self) -> None:
        """Give the client back."""
        self._node.destroy_client(self._client)

    def _on_called(self, future: Future) -> None:
        answer: Any = future.result()
        success = bool(getattr(answer, 'success', True))
        if not success:
            said = getattr(answer, 'message', '')
            self._node.get_logger().error(
                f'{self._name} failed ({said}): ~/start_episode once it is mended'
            )
        self._on_answer(success)
