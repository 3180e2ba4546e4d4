# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag info` and `play` of what other recorders leave: single files, compressed, unfinished."""

from __future__ import annotations
