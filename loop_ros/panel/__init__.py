# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page in the browser on which an operator sees, asks and steers; no ROS."""
