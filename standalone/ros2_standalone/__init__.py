# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A subset of the ros2 command for machines without a ROS 2 installation."""

__version__ = '0.2.0'
