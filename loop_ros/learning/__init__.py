# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Replay buffer, SAC, ensemble training and checkpoints."""
