# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots that learn together; everything stands in fleet.launch.yaml."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource


def generate_launch_description() -> LaunchDescription:
    path = Path(__file__).with_name('fleet.launch.yaml')
    return LaunchDescription([IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)))])
