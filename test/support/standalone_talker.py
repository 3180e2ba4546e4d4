# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node to try the standalone ros2 on: parameters, topics, a service, a lifecycle node."""

from __future__ import annotations

from typing import Any

import rclpy
from nav_msgs.msg import Odometry
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool

RATE_HZ = 20.0


class Talker(Node):
    """Publishes `chatter` (reliable), `odom` (best effort) and `latched` (once)."""

    def __init__(self) -> None:
        super().__init__('talker')
        span = [FloatingPointRange(from_value=0.0, to_value=2.0)]
        describe = ParameterDescriptor
        self.declare_parameter('d0', 0.5, describe(description='Limit', floating_point_range=span))
        self.declare_parameter('count', 3)
        self.declare_parameter('name.first', 'x', describe(read_only=True))
        self.declare_parameter('gains', [1.0, 2.0])
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._chatter = self.create_publisher(String, 'chatter', 10)
        self._odom = self.create_publisher(Odometry, 'odom', best_effort)
        self._latched = self.create_publisher(String, 'latched', latched)
        self._late: Any = None
        self._latched.publish(String(data='once'))
        self._number = 0
        self.create_timer(1.0 / RATE_HZ, self._tick)
        self.create_service(SetBool, 'toggle', self._toggle)

    def _tick(self) -> None:
        self._chatter.publish(String(data=f'hello {self._number}'))
        odometry = Odometry()
        odometry.pose.pose.position.x = float(self._number)
        self._odom.publish(odometry)
        if self._late is not None:
            self._late.publish(Float64MultiArray(data=[float(self._number)]))
        self._number += 1

    def _toggle(self, request: Any, response: Any) -> Any:
        """Begin to publish `late`, a topic that was not there before."""
        if request.data and self._late is None:
            self._late = self.create_publisher(Float64MultiArray, 'late', 10)
        response.success, response.message = request.data, 'done'
        return response


class Stateful(LifecycleNode):
    """Cannot be configured a second time."""

    _configured = False

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        refused, self._configured = self._configured, True
        return TransitionCallbackReturn.FAILURE if refused else TransitionCallbackReturn.SUCCESS


def main() -> None:
    """Run both nodes until SIGINT."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    executor.add_node(Talker())
    executor.add_node(Stateful('stateful'))
    print('ready', flush=True)
    executor.spin()


if __name__ == '__main__':
    main()
