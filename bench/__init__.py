# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Speeds, each beside a peer or a limit measured in the same run (`loop-ros bench`)."""
