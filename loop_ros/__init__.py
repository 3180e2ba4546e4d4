# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Safe model-based reinforcement learning (LOOP, safeLOOP) for ROS 2 robots."""

__version__ = '0.2.0'
