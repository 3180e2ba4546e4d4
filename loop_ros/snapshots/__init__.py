# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the flight recorder writes: to folders and back, and every plan in them made again."""
