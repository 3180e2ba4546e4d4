# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What off-policy algorithms share: an update on a batch, gradient steps, training state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from loop_ros.algorithms.adam import Adam
from loop_ros.types import Batch


class OffPolicy(Protocol):
    """Trains actor and critics in place, on batches from anywhere."""

    needs_model: bool  # whether it waits for the ensemble's first training
    learns_returns: bool  # whether its target is the data's own sum of rewards
    capturable: bool  # whether every update is the same work, so that a CUDA graph may hold it

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of everything; returns losses and metrics by name, [] each.

        The critics learn the target [B] where one is given, else the algorithm's own.
        """

    def training_state(self) -> TrainingState:
        """What a checkpoint needs beside actor and critics."""


def critic_loss(values: Tensor, target: Tensor) -> Tensor:
    """The sum of all critics' mean squared errors [] of their values [num, B] and targets [B]."""
    return len(values) * functional.mse_loss(values, target.expand_as(values))


@torch.no_grad()
def polyak_update(slow: nn.Module, network: nn.Module, tau: float) -> None:
    """Move the slow copy of a network towards it by the share tau."""
    torch._foreach_lerp_(list(slow.parameters()), list(network.parameters()), tau)


class TrainingState:
    """Optimisers, slow copies of networks and single numbers, by the names of a checkpoint."""

    def __init__(
        self,
        optimizers: Mapping[str, Adam],
        networks: Mapping[str, nn.Module] | None = None,
        numbers: dict[str, Tensor] | None = None,
    ) -> None:
        self._optimizers, self._networks = optimizers, networks or {}
        self._numbers = {name: number.detach() for name, number in (numbers or {}).items()}

    def tensors(self) -> dict[str, Tensor]:
        """By '{part}.{name}', numbers by their name only."""
        parts = [(name, network.state_dict()) for name, network in self._networks.items()]
        parts += [(name, optimizer.tensors()) for name, optimizer in self._optimizers.items()]
        named = {f'{part}.{key}': value for part, found in parts for key, value in found.items()}
        return self._numbers | named

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors()` gave.

        Raises KeyError, RuntimeError or ValueError where something is missing or does not fit.
        """
        for name, network in self._networks.items():
            network.load_state_dict(_of_part(tensors, name))
        for name, value in self._numbers.items():
            value.copy_(tensors[name])
        for name, optimizer in self._optimizers.items():
            optimizer.restore(_of_part(tensors, name))


def _of_part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f'{part}.'
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
