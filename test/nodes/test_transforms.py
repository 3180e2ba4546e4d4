# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""odom -> base_link of the bridge, where tf2_msgs is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ears import Ears
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from stack import Process, node_command, until

from loop_ros.nodes import qos
from loop_ros.nodes.conversions import time_from_msg
from loop_ros.sim import registry

pytestmark = pytest.mark.slow
CAR = registry.task('drift_car')
TFMessage = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed').TFMessage


def test_the_robots_frame_is_where_odometry_says(ros_domain: int, tmp_path: Path) -> None:
    process, viewer = Process(node_command('bridge'), tmp_path / 'log'), Ears('viewer')
    try:
        odometry = viewer.hear(Odometry, 'odom', qos.STATE)
        heard = viewer.hear(TFMessage, 'tf', qos.TRANSFORM)
        until(lambda: heard and odometry, 40, 'a transform')
        (found,) = heard[-1].transforms
        state = next(m for m in odometry if m.header.stamp == found.header.stamp)
        assert (found.header.frame_id, found.child_frame_id) == ('odom', 'base_link')
        place, moved = state.pose.pose.position, found.transform.translation
        assert (moved.x, moved.y, moved.z) == (place.x, place.y, place.z)
        assert found.transform.rotation == state.pose.pose.orientation

        other = TransformStamped(child_frame_id='wheel')  # of the same robot, and no rival
        other.header.frame_id = 'base_link'
        stranger = viewer.create_publisher(TFMessage, 'tf', qos.TRANSFORM)
        until(lambda: stranger.get_subscription_count() == 2, 10, 'the bridge listens')
        stranger.publish(TFMessage(transforms=[other]))
        count = len(heard)
        until(lambda: len(heard) > count + 2, 10, 'further transforms')  # one of them is its own

        rival = TransformStamped(child_frame_id='base_link')
        rival.header.frame_id = 'map'
        stranger.publish(TFMessage(transforms=[rival]))
        process.wait_for('another node publishes map -> base_link on tf: it is left to it')
        last, states = time_from_msg(odometry[-1].header.stamp), len(odometry)
        until(lambda: len(odometry) > states + 5, 10, 'further states')
        own = [m.transforms[0] for m in heard if m.transforms[0].header.frame_id == 'odom']
        allowed = 2 * CAR.control_period  # one was on its way
        assert time_from_msg(own[-1].header.stamp) <= last + allowed
    finally:
        viewer.close()
        process.kill()
