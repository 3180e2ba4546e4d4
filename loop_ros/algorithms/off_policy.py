# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What SAC, CRR and POLO have in common: an update on a batch, and a state to resume from."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from loop_ros.learning.adam import Adam
from loop_ros.types import Batch


class OffPolicy(Protocol):
    """Trains actor and critics in place, on batches from anywhere."""

    needs_model: bool  # whether it waits for the ensemble's first training

    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of everything; returns its figures by name.

        The critics learn the target [B] where one is given, else the algorithm's own.
        """

    def training_state(self) -> TrainingState:
        """What a checkpoint needs beside actor and critics."""


class TrainingState:
    """Optimisers, slow copies of networks and single numbers, by the names of a checkpoint."""

    def __init__(
        self,
        optimizers: dict[str, Adam],
        networks: dict[str, nn.Module] | None = None,
        numbers: dict[str, Tensor] | None = None,
    ) -> None:
        self._optimizers, self._networks, self._numbers = (
            optimizers,
            networks or {},
            numbers or {},
        )

    def tensors(self) -> dict[str, Tensor]:
        """By '{part}.{name}', numbers by their name alone."""
        parts = [(name, network.state_dict()) for name, network in self._networks.items()]
        parts += [(name, optimizer.tensors()) for name, optimizer in self._optimizers.items()]
        named = {f'{part}.{key}': value for part, found in parts for key, value in found.items()}
        return self._numbers | named

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors()` gave.

        Raises KeyError, RuntimeError or ValueError where something is missing or does not fit.
        """
        for name, network in self._networks.items():
            network.load_state_dict(_under(tensors, name))
        for name, value in self._numbers.items():
            value.copy_(tensors[name])
        for name, optimizer in self._optimizers.items():
            optimizer.restore(_under(tensors, name))


def _under(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f'{part}.'
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}
