# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's bounds (section 4, appendix A) and tabular problems to check them on."""
