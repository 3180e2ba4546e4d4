# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One gradient step of twin critics."""

from __future__ import annotations

from torch import Tensor

from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.models.networks import TwinCritic


class CriticStep:
    """A step on the squared errors of both critics, in fixed memory for a number of rows B."""

    def __init__(self, critic: TwinCritic, optimizer: Adam, rows: int) -> None:
        self.network, self.optimizer, self.rows = Backprop(critic.network, rows), optimizer, rows

    def __call__(self, inputs: Tensor, target: Tensor) -> Tensor:
        """Learn targets [B] for inputs [B, S+A]; returns the sum of both mean squared errors."""
        error = self.network.forward(twice(inputs)).squeeze(-1) - target
        gradient = (2.0 / self.rows) * error
        self.optimizer.step(self.network.backward(gradient.unsqueeze(-1)))
        return error.square().sum() / self.rows


def twice(x: Tensor) -> Tensor:
    """The same inputs for both critics."""
    return x.expand(2, *x.shape)
