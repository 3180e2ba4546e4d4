# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: each node converts messages, calls the agent and publishes."""
