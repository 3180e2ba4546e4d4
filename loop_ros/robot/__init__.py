# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot described by a file: messages to observations, actions to messages, ticks to transitions.

Knows neither rclpy nor rosbags: it reads and writes attributes, which the messages of both have.
"""
