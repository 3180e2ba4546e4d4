# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the robot gets and when it learns: supervisor, worker threads, trial of weights; no ROS."""
