# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What trains actor and critics: one module and one `update` per algorithm."""
