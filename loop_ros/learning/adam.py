# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adam as one operation over all parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from loop_ros.learning import processes


class Adam:
    """torch.optim.Adam without its bookkeeping; AdamW where there is a weight decay.

    The step count lives on the device, so a step can be captured as a CUDA graph.
    """

    def __init__(
        self, parameters: Sequence[Tensor], learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self._parameters = [p.detach() for p in parameters]
        self._step = torch.zeros((), device=self._parameters[0].device)
        self._average = [torch.zeros_like(p) for p in self._parameters]
        self._square = [torch.zeros_like(p) for p in self._parameters]
        self._update = torch._fused_adamw_ if weight_decay > 0.0 else torch._fused_adam_
        self._learning_rate, self._weight_decay = learning_rate, weight_decay

    @torch.no_grad()
    def step(self, gradients: list[Tensor]) -> None:
        """Move the parameters by their gradients, whose mean over all processes is taken first."""
        processes.average(gradients)
        self._step.add_(1.0)
        self._update(
            self._parameters,
            gradients,
            self._average,
            self._square,
            [],
            [self._step] * len(gradients),
            lr=self._learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self._weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )

    def tensors(self) -> dict[str, Tensor]:
        """By '{parameter}.{name}', as torch.optim.Adam names its state; for a checkpoint."""
        found: dict[str, Tensor] = {}
        for i, (average, square) in enumerate(zip(self._average, self._square, strict=True)):
            found |= {f'{i}.step': self._step, f'{i}.exp_avg': average, f'{i}.exp_avg_sq': square}
        return found

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors()` gave; nothing at all is the state before the first step.

        Raises KeyError or ValueError where something is missing or of another shape.
        """
        for name, value in self.tensors().items():
            found = tensors[name] if tensors else torch.zeros_like(value)
            if found.shape != value.shape:
                raise ValueError(
                    f'optimiser state {name} is {tuple(found.shape)}, expected '
                    f'{tuple(value.shape)}: it is of another task or profile'
                )
            value.copy_(found)
