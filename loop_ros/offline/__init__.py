# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training from recorded episodes (Alg. 2), and what to expect of it before a robot moves."""
