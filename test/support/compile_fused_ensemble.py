# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the fused rollout at the paper's size for a compute capability (80, 90 ...).

Prints bytes of shared memory and whether tensor cores are used.
"""

from __future__ import annotations

import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from loop_ros.models.fused_ensemble import _WARPS, _roll_rows

CONSTANTS = {
    'STATE': 6, 'INPUTS': 8, 'WIDTH': 200, 'LAYERS': 3, 'OUTPUTS': 16, 'NOISY': True, 'BLOCK': 16,
    'STATE_TILE': 16, 'ACTION_TILE': 16, 'WIDTH_TILE': 256, 'WIDEN': False,
}  # fmt: skip
WEIGHTS = ('first', 'between', 'last', 'shifts', 'last_shift')
FLOATS = (
    'states', 'actions', 'noise', 'path', 'rewards', 'costs', 'input_scale', 'input_shift',
    'output_scale', 'output_shift', 'low', 'span',
)  # fmt: skip

kernel: Any = _roll_rows
signature, attributes = {}, {}
for position, name in enumerate(kernel.arg_names):
    if name in (*WEIGHTS, *FLOATS):
        signature[name] = '*bf16' if name in WEIGHTS else '*fp32'
        attributes[(position,)] = [['tt.divisibility', 16]]
    else:
        signature[name] = 'constexpr' if name in CONSTANTS else 'i32'
compiled = triton.compile(
    ASTSource(kernel, signature, CONSTANTS, attributes),
    target=GPUTarget('cuda', int(sys.argv[1]), 32),
    options={'num_warps': _WARPS, 'num_stages': 1},
)
print(compiled.metadata.shared, 'mma' in compiled.asm['ptx'])
