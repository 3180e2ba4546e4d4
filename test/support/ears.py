# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node in the test's own process that hears what other nodes publish."""

from __future__ import annotations

import threading
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from stack import until


class Ears(Node):
    """A node of the test, spun in a thread of its own, that keeps what it hears."""

    def __init__(self, name: str = 'ears', namespace: str = '') -> None:
        self._own = Context()
        rclpy.init(context=self._own)
        super().__init__(name, context=self._own, namespace=namespace)
        self._spinner = SingleThreadedExecutor(context=self._own)
        self._spinner.add_node(self)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._spinner.spin_once(timeout_sec=0.02)

    def hear(self, message: type, topic: str, profile: Any) -> list[Any]:
        """A list that grows with each message."""
        heard: list[Any] = []
        self.create_subscription(message, topic, heard.append, profile)
        self._spinner.wake()
        return heard

    def call(self, service: type, name: str, request: Any, timeout: float = 10.0) -> Any:
        """The response of a service."""
        client = self.create_client(service, name)
        assert client.wait_for_service(timeout), f'no service {name}'
        future = client.call_async(request)
        self._spinner.wake()
        until(future.done, timeout, f'an answer of {name}')
        return future.result()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._spinner.shutdown()
        self.destroy_node()
        rclpy.try_shutdown(context=self._own)
