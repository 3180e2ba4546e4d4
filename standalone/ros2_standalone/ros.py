# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short-lived ROS node for one command: discovery with a deadline, services, spinning.

rclpy is imported when a session is opened, so that commands without ROS start at once.
"""

import argparse
import atexit
import os
import time
from collections.abc import Callable
from typing import Any

from ros2_standalone.discovery import announce_often
from ros2_standalone.errors import Ros2Error

DISCOVERY_TIMEOUT = 5.0  # s; there is no daemon that already knows the graph
_SERVICE_TIMEOUT = 5.0  # s
_QUIET = 1.0  # s without a change of the graph after which it counts as known


class Session:
    """The node of one command. Use session() to make one."""

    def __init__(self, rclpy: Any, node: Any) -> None:
        self.node = node
        self._rclpy = rclpy

    def spin(self, until: Callable[[], Any] = lambda: False, timeout: float | None = None) -> bool:
        """Handle callbacks until the condition holds (True) or timeout s have passed (False)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not until():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self._rclpy.spin_once(self.node, timeout_sec=0.05)
        return True

    def settle(self, seconds: float | None = None) -> None:
        """Wait until the graph has been discovered: a node, then no change for a while.

        seconds: wait exactly so long instead.
        """
        if seconds is not None:
            self.spin(timeout=seconds)
            return
        self.spin(self.node_names, DISCOVERY_TIMEOUT)
        end = time.monotonic() + DISCOVERY_TIMEOUT
        known: Any = None
        while (seen := self._graph()) != known and time.monotonic() < end:
            known = seen
            self.spin(timeout=_QUIET)

    def _graph(self) -> Any:
        node = self.node
        topics, services = node.get_topic_names_and_types(), node.get_service_names_and_types()
        return self.node_names(), topics, services

    def node_names(self) -> list[str]:
        """Return the full names of the running nodes, sorted, this one left out."""
        own = self.node.get_fully_qualified_name()
        pairs = self.node.get_node_names_and_namespaces()
        names = [f'{namespace.rstrip("/")}/{name}' for name, namespace in pairs]
        return sorted(name for name in names if name != own)

    def wait_for_node(self, name: str, timeout: float = DISCOVERY_TIMEOUT) -> str:
        """Wait until a node is there and return its full name.

        :raises Ros2Error: it did not appear.
        """
        full_name = '/' + name.lstrip('/')
        if not self.spin(lambda: full_name in self.node_names(), timeout):
            running = ', '.join(n for n in self.node_names() if not is_hidden(n)) or 'none'
            raise Ros2Error(
                f"Node not found: '{full_name}' did not appear within {timeout:g} s "
                f'on ROS_DOMAIN_ID {domain()}; running nodes: {running}'
            )
        return full_name

    def wait_for_topic(self, name: str, timeout: float = DISCOVERY_TIMEOUT) -> tuple[str, str]:
        """Wait until a topic is there and return its full name and its type.

        :raises Ros2Error: it did not appear, or has several types.
        """
        topic = '/' + name.lstrip('/')
        types: list[str] = []

        def is_there() -> bool:
            types[:] = dict(self.node.get_topic_names_and_types()).get(topic, [])
            return bool(types)

        if not self.spin(is_there, timeout):
            raise Ros2Error(
                f"topic '{topic}' did not appear within {timeout:g} s on ROS_DOMAIN_ID {domain()}; "
                "see 'ros2 topic list'"
            )
        if len(types) > 1:
            raise Ros2Error(f"topic '{topic}' has more than one type: {', '.join(types)}")
        return topic, types[0]

    def call(self, service_type: Any, name: str, request: Any) -> Any:
        """Call a service and return its response.

        :raises Ros2Error: no such service in time, no answer in time, or the service failed.
        """
        client = self.node.create_client(service_type, name)
        if not self.spin(client.service_is_ready, _SERVICE_TIMEOUT):
            raise Ros2Error(
                f"service '{name}' did not appear within {_SERVICE_TIMEOUT:g} s "
                f"on ROS_DOMAIN_ID {domain()}; see 'ros2 service list'"
            )
        future = client.call_async(request)
        if not self.spin(future.done, _SERVICE_TIMEOUT):
            raise Ros2Error(f"service '{name}' did not answer within {_SERVICE_TIMEOUT:g} s")
        if future.exception() is not None:
            raise Ros2Error(f"service '{name}' failed: {future.exception()}")
        return future.result()


def session(**node_options: Any) -> Session:
    """Open a hidden node for one command; it is closed when the process ends, output written.

    :raises Ros2Error: rclpy is not installed.
    """
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
    except ImportError as error:
        raise Ros2Error(
            f'rclpy cannot be imported ({error}); run the set-up (make .venv)'
        ) from None
    announce_often()
    # Without rclpy's handlers Ctrl-C is an ordinary KeyboardInterrupt.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    atexit.register(rclpy.try_shutdown)
    node_options.setdefault('start_parameter_services', False)
    name = f'_ros2_standalone_{os.getpid()}'
    node = rclpy.create_node(name, enable_rosout=False, **node_options)
    atexit.register(node.destroy_node)
    return Session(rclpy, node)


def domain() -> str:
    """Return the ROS domain in use."""
    return os.environ.get('ROS_DOMAIN_ID', '0')


def is_hidden(name: str) -> bool:
    """Tell whether a node, topic or service is hidden: a part of its name begins with '_'."""
    return any(part.startswith('_') for part in name.split('/'))


def print_names(
    named: list[tuple[str, list[str]]], hidden: bool, count: bool, show_types: bool
) -> None:
    """Print topics or services as upstream lists them: names, names with types, or their number."""
    shown = [(name, types) for name, types in named if hidden or not is_hidden(name)]
    if count:
        print(len(shown))
        return
    for name, types in shown:
        print(f'{name} [{", ".join(types)}]' if show_types else name)


def add_verbs(
    parser: argparse.ArgumentParser, verbs: dict[str, str]
) -> dict[str, argparse.ArgumentParser]:
    """Add one sub-parser for each verb (name, help) and return them by name."""
    group = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    parsers = {}
    for name, text in verbs.items():
        parsers[name] = group.add_parser(name, help=text, description=text)
    return parsers


def add_discovery_arguments(parser: argparse.ArgumentParser) -> None:
    """Add upstream's options about discovery; there is no daemon here to leave out."""
    parser.add_argument('--no-daemon', action='store_true', help='Accepted: there is no daemon')
    parser.add_argument(
        '--spin-time', type=float, metavar='S', help='Wait S seconds for discovery (default: auto)'
    )
