# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adam, called as a function."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw

from loop_ros import distributed


class Adam:
    """Adam as one operation over all parameters; AdamW where there is a weight decay.

    Of networks this small, `torch.optim.Adam` takes longer for its hooks and its search for
    gradients than for its step. Of several processes each steps by the mean of all gradients.
    """

    def __init__(
        self, parameters: Iterable[Tensor], learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self.parameters = list(parameters)
        self._learning_rate, self._weight_decay = learning_rate, weight_decay
        self._steps = [p.new_zeros(()) for p in self.parameters]
        self._averages = [torch.zeros_like(p.detach()) for p in self.parameters]
        self._squares = [torch.zeros_like(p.detach()) for p in self.parameters]
        # Until glibc has seen a block this large freed, it hands an update's memory back to the
        # system at the end and takes it again page by page.
        torch.empty(2**22)

    def __add__(self, other: Adam) -> Adam:
        """Steps the parameters of both at once, at this one's rate; each keeps its own state."""
        both = copy.copy(self)
        both.parameters = self.parameters + other.parameters
        both._steps = self._steps + other._steps
        both._averages = self._averages + other._averages
        both._squares = self._squares + other._squares
        return both

    def minimize(self, loss: Tensor) -> None:
        """One step of the parameters, and of no others, down the gradient of a loss []."""
        self.step(list(torch.autograd.grad(loss, self.parameters)))

    @torch.no_grad()
    def step(self, gradients: list[Tensor]) -> None:
        """One step down the gradient of each parameter."""
        distributed.average(gradients)
        update = adamw if self._weight_decay > 0.0 else adam
        update(
            self.parameters,
            gradients,
            self._averages,
            self._squares,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self._learning_rate,
            weight_decay=self._weight_decay,
            eps=1e-8,
            maximize=False,
        )

    def tensors(self) -> dict[str, Tensor]:
        """The state for a checkpoint, by '{parameter}.{name}' as torch.optim names it."""
        kept = zip(self._steps, self._averages, self._squares, strict=True)
        return {
            f'{i}.{name}': tensor
            for i, tensors in enumerate(kept)
            for name, tensor in zip(('step', 'exp_avg', 'exp_avg_sq'), tensors, strict=True)
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors()` gave; nothing at all is the state before the first step.

        Raises KeyError or ValueError where something is missing or of another shape.
        """
        own = self.tensors()
        found = {name: tensors[name] if tensors else torch.zeros_like(own[name]) for name in own}
        for name, value in found.items():
            if value.shape != own[name].shape:
                raise ValueError(
                    f'optimiser state {name} is {tuple(value.shape)}, expected '
                    f'{tuple(own[name].shape)}: it is of another task or profile'
                )
        for name, value in found.items():
            own[name].copy_(value)  # in place: a captured step knows this memory
