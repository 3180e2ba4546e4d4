# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service of every topic."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

# Newest only. Best effort matches any publisher; no deadline is requested, for an external
# publisher without one would not match.
STATE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
TRANSITION = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
WEIGHTS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
STATUS = WEIGHTS  # a late subscriber gets the last one too
TELEMETRY = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# As viewers ask by default (RViz: reliable, volatile, depth 5); a late one may ask for the last.
VIEW = WEIGHTS
FIGURE = QoSProfile(depth=10)
TRANSFORM = QoSProfile(depth=100)  # as tf2 has it
DIAGNOSTICS = QoSProfile(depth=10)
CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
