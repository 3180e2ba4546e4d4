# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A package that is not installed, in one sentence."""

from __future__ import annotations

# What `rosdep` knows comes from it; the rest is pip's.
MESSAGES = ('_msgs', '_srvs', '_interfaces', 'rclpy')


def sentence(error: ModuleNotFoundError) -> str:
    """What is missing and how to get it."""
    name = (error.name or str(error)).partition('.')[0]
    if name.endswith(MESSAGES):
        return (
            f"the ROS package '{name}' is missing: source your ROS 2 installation, or install it "
            f'with rosdep (Installation in CONTRIBUTING.md)'
        )
    return (
        f"the Python package '{name}' is missing: pip install '.[sim]' in the folder of loop_ros "
        'brings all of them (Installation in CONTRIBUTING.md)'
    )
