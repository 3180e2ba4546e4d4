# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fake robot, over ROS."""

import os
import threading
import time

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('irsim')

from diff_drive_lidar.fake_robot import FakeRobot  # noqa: E402
from geometry_msgs.msg import PoseStamped, Twist  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from sensor_msgs.msg import LaserScan  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402


@pytest.fixture
def context():
    """Of a ROS domain of its own."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=50 + (os.getpid() + 17) % 50)
    yield context
    context.try_shutdown()


@pytest.fixture
def executor(context):
    """Of the user's node."""
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    yield executor
    executor.shutdown()


@pytest.fixture
def robot(context):
    """Works in a thread of its own, as it would in a process."""
    robot = FakeRobot(context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(robot)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    yield robot
    executor.shutdown()
    thread.join()


def spin(executor, until, seconds=10.0):
    """Let nodes work; whether `until` came true in time."""
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    return until()


def test_it_moves_as_told_and_gets_a_new_goal(context, executor, robot):
    user = rclpy.create_node('user', context=context)
    executor.add_node(user)
    odometry, scans, goals = [], [], []
    user.create_subscription(Odometry, '/odom', odometry.append, 10)
    user.create_subscription(LaserScan, '/scan', scans.append, rclpy.qos.qos_profile_sensor_data)
    user.create_subscription(PoseStamped, '/goal_pose', goals.append, robot.goal_qos)
    commands = user.create_publisher(Twist, '/cmd_vel', 10)
    reset = user.create_client(Trigger, '/reset')
    assert spin(executor, lambda: odometry and scans and goals and reset.service_is_ready())
    start = odometry[-1].pose.pose.position.x

    forward = Twist()
    forward.linear.x = 0.5
    user.create_timer(0.1, lambda: commands.publish(forward))
    assert spin(executor, lambda: odometry[-1].pose.pose.position.x > start + 0.1)
    assert odometry[-1].twist.twist.linear.x == pytest.approx(0.5)
    assert len(scans[-1].ranges) == 96
    assert min(scans[-1].ranges) == pytest.approx(1.0, abs=0.05)  # from the wall at the start

    answer = reset.call_async(Trigger.Request())
    assert spin(executor, lambda: answer.done() and len(goals) == 2)
    assert goals[1].pose.position != goals[0].pose.position
