# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real robot; everything stands in robot.launch.yaml."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource


def generate_launch_description() -> LaunchDescription:
    path = Path(__file__).with_name('robot.launch.yaml')
    return LaunchDescription([IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)))])
