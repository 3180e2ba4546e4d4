# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Zero mean and unit variance, dimension by dimension."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def scale(data: Tensor) -> Tensor:
    """Standard deviations [D] of data [B, D]; 1 for a constant dimension."""
    std = data.std(dim=0, correction=0)
    return torch.where(std > 1e-6, std, torch.ones_like(std))


class Normalizer(nn.Module):
    """An affine map fitted to data and saved with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(size))
        self.register_buffer('std', torch.ones(size))

    def fit(self, data: Tensor) -> None:
        """Take the scales of data [B, size]; a constant dimension keeps scale 1."""
        self.mean.copy_(data.mean(dim=0))
        self.std.copy_(scale(data))

    def normalize(self, x: Tensor) -> Tensor:
        """To zero mean and unit variance."""
        return (x - self.mean) / self.std

    def denormalize(self, x: Tensor) -> Tensor:
        """Back to the data's own scale."""
        return x * self.std + self.mean
