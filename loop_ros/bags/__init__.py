# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags to transitions and back; imports no rclpy."""

from loop_ros.bags.reader import BagReader
from loop_ros.bags.summary import Summary
from loop_ros.bags.writer import BagWriter
from loop_ros.types import Rows

__all__ = ['BagReader', 'BagWriter', 'Rows', 'Summary']
