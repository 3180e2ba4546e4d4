# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tensors may live."""

from __future__ import annotations

import torch


def usable_device(name: str) -> torch.device:
    """The device; ValueError where this machine has none of that name."""
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device '{name}': {str(error).splitlines()[0]}") from None
