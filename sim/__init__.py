# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated worlds with the gymnasium API; nothing in this room knows ROS."""
