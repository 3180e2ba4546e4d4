# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the machine can do at most: the rate of large square matrix products."""

from __future__ import annotations

import time

import torch

SIZES = {'cpu': (1024, 2048), 'cuda': (2048, 4096, 8192)}  # large enough to be bound by arithmetic


def matmul_gflops(dtype: torch.dtype, device: torch.device, repeats: int = 5) -> float:
    """Best rate over sizes and repeats, GFLOP/s, with the threads that torch has now."""
    return max(
        _gflops(size, dtype, device)
        for size in SIZES.get(device.type, SIZES['cpu'])
        for _ in range(repeats)
    )


def synchronize(device: torch.device) -> None:
    """Wait for what is under way on the device; a CPU is never ahead."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _gflops(size: int, dtype: torch.dtype, device: torch.device) -> float:
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = left @ right  # the first one sets libraries up
    synchronize(device)
    start = time.perf_counter()
    torch.mm(left, right, out=out)
    synchronize(device)
    return 2e-9 * size**3 / (time.perf_counter() - start)
