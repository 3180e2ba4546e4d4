# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a state to an action sequence: rollout, ARC, safeARC, CEM."""
