# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tensors live, in what precision, and how they leave."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def usable_device(name: str) -> torch.device:
    """The device; ValueError where this machine has none of that name."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device '{name}': {str(error).splitlines()[0]}") from None


@functools.cache
def rollout_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a setting; `auto` is bfloat16 where the device multiplies it natively."""
    if name == 'auto':
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    return {'float32': torch.float32, 'bfloat16': torch.bfloat16}[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        words = set(Path('/proc/cpuinfo').read_text(encoding='ascii').split())
    except (OSError, UnicodeDecodeError):
        return False
    return bool(words & {'avx512_bf16', 'amx_bf16', 'bf16'})  # x86, x86, ARM


def to_host(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Tensors of one device as float64 arrays, and floats where they have no dimension.

    In one copy, and so one wait for the device.
    """
    numbers = torch.cat([tensor.reshape(-1) for tensor in tensors.values()]).cpu().double().numpy()
    ends = list(itertools.accumulate(tensor.numel() for tensor in tensors.values()))
    parts = zip(tensors.items(), np.split(numbers, ends[:-1]), strict=True)
    return {
        name: part.reshape(tensor.shape) if tensor.ndim else part.item()
        for (name, tensor), part in parts
    }
