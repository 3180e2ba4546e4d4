# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real F1/10 car, as it was recorded."""
