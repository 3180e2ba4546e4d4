# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions without a meaning, for tests that compare updates with their losses."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.types import Batch

STATES, ACTIONS = 3, 2  # numbers in a state and in an action


def random_batch(size: int = 8, seed: int = 0) -> Batch:
    """A batch [size] in which every fourth transition ends its episode."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return Batch(
        normal(size, STATES),
        normal(size, ACTIONS).tanh(),
        normal(size),
        normal(size).abs(),
        normal(size, STATES),
        (torch.arange(size) % 4 == 0).float(),
    )
