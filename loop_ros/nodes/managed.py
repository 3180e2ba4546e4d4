# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How every node of this package lives: brings itself up, spins, and goes down cleanly.

rclpy's own signal handlers invalidate the context at once, so that a node could neither save nor
publish its last command. Here a signal only raises a flag (entry.py); the executor returns, the
node is shut down through its lifecycle, and only then the context ends.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from loop_ros.nodes import qos, unknown_parameters, views
from loop_ros.nodes.conversions import time_to_msg
from loop_ros.nodes.parameters import declare
from loop_ros.process_end import end_within

POLL = 0.1  # s between looks at the stop flag
LOG_PERIOD = 5.0  # s between repetitions of the same warning
ACKNOWLEDGE_TIMEOUT = 1.0  # s for subscribers to acknowledge the last messages
# The same for transitions, which nobody repeats: a subscriber that missed some, by a loss or a cut
# of the network, learns so from Fast DDS's next heartbeat, and these are 3 s apart.
TRANSITION_TIMEOUT = 4.0
LEAVE_TIMEOUT = 3.0  # s for the end of ROS, after the node has put everything away
STEADY = Clock(clock_type=ClockType.STEADY_TIME)  # runs on while simulated time stands still


class StartError(Exception):
    """A node cannot come up; the message says why and what to do."""


class ManagedNode(LifecycleNode):
    """A lifecycle node with `autostart`, whose subclass says what to make in each state.

    Subclasses fill in `configure`, `activate`, `deactivate` and `cleanup`; a ValueError,
    OSError or StartError in the first two is logged and fails the transition.
    """

    def __init__(self, name: str, namespace: str = '') -> None:
        super().__init__(name, namespace=namespace)
        self.autostart: bool = declare(
            self, 'autostart', True, 'configure and activate by itself; false: wait for a manager'
        )
        self.params_file: str = declare(
            self, 'params_file', '', 'the parameter file of the launch, which must exist'
        )
        unknown_parameters.check_file(self.params_file)
        self.finished = False  # set by a node whose job is done
        self.exit_code = 0
        self.active = False
        self._publishers_made: list[Publisher] = []
        self._subscriptions_made: list[Subscription] = []
        self._timers_made: list[Timer] = []
        self._warned: dict[str, float] = {}

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Refuse unknown names by name; rclpy's own error leaves them out."""
        mistakes = unknown_parameters.unknown(self, (p.name for p in parameter_list))
        if mistakes:
            return SetParametersResult(successful=False, reason='; '.join(mistakes))
        return super().set_parameters_atomically(parameter_list)

    def configure(self) -> None:
        """Make what the node needs."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working; timers and subscriptions are already gone."""

    def cleanup(self) -> None:
        """Give back what `configure` made, publishers excepted; also after one that failed."""

    def advertise(self, message: type, topic: str, profile: QoSProfile) -> Publisher:
        """A publisher that lives until the node is cleaned up."""
        publisher = self.create_publisher(message, topic, profile)
        self._publishers_made.append(publisher)
        return publisher

    def wait_for_arrival(
        self, *publishers: Publisher | None, timeout: float = ACKNOWLEDGE_TIMEOUT
    ) -> None:
        """Until all that was published has arrived everywhere; a warning after `timeout` s each."""
        for publisher in filter(None, publishers):
            if not publisher.wait_for_all_acked(Duration(seconds=timeout)):
                self.get_logger().warning(
                    f'{publisher.topic_name}: after {timeout:g} s some subscriber lacks messages'
                )

    def subscribe(
        self, message: type, topic: str, callback: Callable[..., None], profile: QoSProfile
    ) -> Subscription:
        """A subscription that lives until the node is deactivated."""
        subscription = self.create_subscription(message, topic, callback, profile)
        self._subscriptions_made.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription of `subscribe` before that."""
        self._subscriptions_made.remove(subscription)
        self.destroy_subscription(subscription)

    def publish_diagnostics(
        self, what: str, task: str, level: bytes, text: str, values: dict[str, Any]
    ) -> None:
        """One status on /diagnostics, named after the node and `what` (REP 107)."""
        name = f'{self.get_fully_qualified_name()}: {what}'
        if unheard := self._unheard():
            level, text = max(level, views.WARN), f'{text}; {unheard}'
        status = views.status_to_msg(name, task, level, text, values)
        message = DiagnosticArray(status=[status])
        message.header.stamp = time_to_msg(self.now())
        self._diagnostics.publish(message)

    def _unheard(self) -> str:
        """Who publishes so that this node cannot hear it; empty where nobody does."""
        found = [
            f'{subscription.topic_name} of {info.node_name} is best effort, which is not heard '
            'here: publish it reliably'
            for subscription in self._subscriptions_made
            if subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE
            for info in self.get_publishers_info_by_topic(subscription.topic_name)
            if info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        ]
        return '; '.join(found)

    def now(self) -> int:
        """The time by the node's clock, ns."""
        return int(self.get_clock().now().nanoseconds)

    def every(self, period: float, callback: Callable[[], None]) -> Timer:
        """A timer on the steady clock that lives until the node is deactivated."""
        timer = self.create_timer(period, callback, clock=STEADY)
        self._timers_made.append(timer)
        return timer

    def warn(self, subject: str, text: str) -> None:
        """A warning, at most one per LOG_PERIOD about the same subject."""
        now = time.monotonic()
        if now - self._warned.get(subject, -LOG_PERIOD) >= LOG_PERIOD:
            self._warned[subject] = now
            self.get_logger().warning(text)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle hook."""
        self._diagnostics = self.advertise(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        return self._attempt('configure', self.configure, undo=self._clean)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle hook."""
        result = self._attempt('activate', self.activate, undo=self._stop)
        self.active = result == TransitionCallbackReturn.SUCCESS
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle hook."""
        return self._attempt('deactivate', self._stop)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle hook."""
        return self._attempt('clean up', self._clean)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle hook."""
        if self.active:
            self._attempt('deactivate', self._stop)
        if state.label != 'unconfigured':
            return self._attempt('clean up', self._clean)
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        self.active = False
        for timer in self._timers_made:
            self.destroy_timer(timer)
        for subscription in self._subscriptions_made:
            self.destroy_subscription(subscription)
        self._timers_made.clear()
        self._subscriptions_made.clear()
        self.deactivate()

    def _clean(self) -> None:
        self.cleanup()
        for publisher in self._publishers_made:
            self.destroy_publisher(publisher)
        self._publishers_made.clear()

    def _attempt(
        self, what: str, action: Callable[[], None], undo: Callable[[], None] | None = None
    ) -> TransitionCallbackReturn:
        try:
            action()
        except (ValueError, OSError, StartError, ParameterException) as error:
            self.get_logger().error(f'cannot {what}: {error}')
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS


def run(
    make: Callable[[], ManagedNode | Sequence[ManagedNode]], stop: threading.Event, args: list[str]
) -> int:
    """Run a node, or several, until `stop` is set or one ends; the exit code of the process."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        try:
            made = make()
        except (ValueError, ParameterException) as error:
            print(f'error: {error}', file=sys.stderr, flush=True)
            return 1
        nodes = [made] if isinstance(made, ManagedNode) else made
        names = {node.get_fully_qualified_name() for node in nodes}
        for node in nodes:
            for text in unknown_parameters.given_in_vain(node, node.params_file, names):
                node.get_logger().warning(text)
        code = 1
        try:
            code = _live(nodes[0], stop) if len(nodes) == 1 else _live_together(nodes, stop)
            return code
        finally:
            end_within(LEAVE_TIMEOUT, code)
            for node in nodes:
                node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _live_together(nodes: Sequence[ManagedNode], stop: threading.Event) -> int:
    """Each in a thread of its own: an executor's work for a callback grows with all its nodes."""

    def live(node: ManagedNode) -> int:
        try:
            return _live(node, stop)
        finally:
            stop.set()

    with ThreadPoolExecutor(len(nodes)) as threads:
        return max(threads.map(live, nodes))


def _live(node: ManagedNode, stop: threading.Event) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.autostart and not _bring_up(node):
            return 1
        while not (stop.is_set() or node.finished):
            executor.spin_once(timeout_sec=POLL)
        return node.exit_code
    finally:
        with contextlib.suppress(Exception):  # already finalized by a manager
            node.trigger_shutdown()
        executor.shutdown(timeout_sec=1.0)


def _bring_up(node: ManagedNode) -> bool:
    success: Any = TransitionCallbackReturn.SUCCESS
    return bool(node.trigger_configure() == success and node.trigger_activate() == success)
