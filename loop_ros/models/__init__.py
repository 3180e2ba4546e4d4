# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Actor, critics and the probabilistic ensemble."""
