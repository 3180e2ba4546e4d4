# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What off-policy algorithms share: an update on a batch, gradient steps, training state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from loop_ros import distributed
from loop_ros.models.networks import TwinCritic
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


def make_optimizer(
    parameters: Iterable[Tensor], learning_rate: float, weight_decay: float = 0.0
) -> torch.optim.Adam:
    """Adam as one operation over all parameters; AdamW where there is a weight decay.

    Of several processes each steps by the mean of all gradients.
    """
    parameters = list(parameters)
    kind = torch.optim.AdamW if weight_decay > 0.0 else torch.optim.Adam
    optimizer = kind(
        parameters,
        lr=learning_rate,
        weight_decay=weight_decay,
        fused=True,
        capturable=parameters[0].is_cuda,
    )
    if distributed.size() > 1:
        optimizer.register_step_pre_hook(
            lambda *_: distributed.average([p.grad for p in parameters if p.grad is not None])
        )
    return optimizer


def minimize(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimizer's parameters, and no others, down the gradient of a loss []."""
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def critic_loss(critic: TwinCritic, state: Tensor, action: Tensor, target: Tensor) -> Tensor:
    """The sum of both critics' mean squared errors [] of states, actions and targets [B]."""
    return (critic(state, action) - target).square().mean(dim=1).sum()


@torch.no_grad()
def polyak_update(slow: nn.Module, network: nn.Module, tau: float) -> None:
    """Move the slow copy of a network towards it by the share tau."""
    torch._foreach_lerp_(list(slow.parameters()), list(network.parameters()), tau)


class TrainingState:
    """Optimisers, slow copies of networks and single numbers, by the names of a checkpoint."""

    def __init__(
        self,
        optimizers: Mapping[str, torch.optim.Optimizer],
        networks: Mapping[str, nn.Module] | None = None,
        numbers: dict[str, Tensor] | None = None,
    ) -> None:
        self._optimizers, self._networks = optimizers, networks or {}
        self._numbers = {name: number.detach() for name, number in (numbers or {}).items()}

    def tensors(self) -> dict[str, Tensor]:
        """By '{part}.{name}', numbers by their name only."""
        parts = [(name, network.state_dict()) for name, network in self._networks.items()]
        parts += [(name, _moments(optimizer)) for name, optimizer in self._optimizers.items()]
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
            _restore_moments(optimizer, _of_part(tensors, name))


def _of_part(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f'{part}.'
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state by '{parameter}.{name}'; zeros before the first step."""
    found: dict[str, Tensor] = {}
    for group in optimizer.param_groups:
        for i, p in enumerate(group['params']):
            zeros = {'step': p.new_zeros(()), 'exp_avg': p.detach(), 'exp_avg_sq': p.detach()}
            for name, like in zeros.items():
                value = optimizer.state[p].get(name)
                found[f'{i}.{name}'] = torch.zeros_like(like) if value is None else value
    return found


def _restore_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `_moments`; nothing at all is the state before the first step."""
    own = _moments(optimizer)
    for name, value in own.items():
        found = tensors[name] if tensors else torch.zeros_like(value)
        if found.shape != value.shape:
            raise ValueError(
                f'optimiser state {name} is {tuple(found.shape)}, expected '
                f'{tuple(value.shape)}: it is of another task or profile'
            )
        own[name] = found.to(value)
    for i, p in enumerate(optimizer.param_groups[0]['params']):
        for name in ('step', 'exp_avg', 'exp_avg_sq'):
            kept = optimizer.state[p].setdefault(name, torch.empty_like(own[f'{i}.{name}']))
            kept.copy_(own[f'{i}.{name}'])  # a captured step knows this memory
