# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One gradient step of all models of an ensemble."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from loop_ros.learning import processes
from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.learning.cuda_graph import Graphed
from loop_ros.models.ensemble import BOUND_PULL, Ensemble


class EnsembleStep:
    """A step on batches of `rows` transitions a model, in fixed memory and without autograd."""

    def __init__(self, ensemble: Ensemble, optimizer: Adam, rows: int) -> None:
        self._ensemble, self._optimizer, self._rows = ensemble, optimizer, rows
        self._network = Backprop(ensemble.network, rows)
        self._inputs, self._targets = len(ensemble.inputs.mean), ensemble.noisy_dim
        columns = self._inputs + self._targets + 1
        outputs = self._network.outputs
        self._data = outputs.new_empty(ensemble.num_models, rows, columns)
        self._gradient = torch.empty_like(outputs)
        # An exchange with other processes is not captured.
        alone = processes.size() == 1
        self._run = Graphed(self._learn, outputs.device) if alone else self._learn

    def __call__(self, table: Tensor, index: Tensor) -> None:
        """Learn from the rows `index` [K, rows] of a table of inputs, targets and cost [N, .]."""
        flat = self._data.view(-1, self._data.shape[-1])
        torch.index_select(table, 0, index.reshape(-1), out=flat)
        self._run()

    def _learn(self) -> None:
        x, target, cost = self._data.split((self._inputs, self._targets, 1), dim=-1)
        out = self._network.forward(x)
        bounds = likelihood_gradient(self._ensemble, out, target, cost, self._gradient)
        gradients = self._network.backward(self._gradient)
        self._optimizer.step([*bounds, *gradients])


def likelihood_gradient(
    ensemble: Ensemble, out: Tensor, target: Tensor, cost: Tensor, gradient: Tensor
) -> list[Tensor]:
    """Of the sum of the models' negative log-likelihoods and the bounds' penalty.

    Outputs [K, B, O], normalised targets [K, B, S+1] and costs [K, B, 1]. Writes the gradient of
    the outputs to `gradient` and returns those of the bounds of the log-variance, largest first,
    where they are learned.
    """
    size, rows = ensemble.noisy_dim, out.shape[1]
    low, high = ensemble.min_log_var.detach(), ensemble.max_log_var.detach()
    mean, raw, predicted_cost = out.split((size, size, 1), dim=-1)
    # As in soft_clamp: x = high - softplus(high - raw), log_var = low + softplus(x - low).
    room = high - raw
    above = high - functional.softplus(room) - low
    precision = torch.exp(-low - functional.softplus(above))
    error = mean - target
    scaled = error * precision
    per_number = 1.0 / (rows * size)
    torch.mul(scaled, 2.0 * per_number, out=gradient[..., :size])
    of_log_var = per_number * (1.0 - error * scaled)
    of_x = of_log_var * torch.sigmoid(above)
    of_raw = torch.mul(of_x, torch.sigmoid(room), out=gradient[..., size:-1])
    torch.mul(predicted_cost - cost, 2.0 / rows, out=gradient[..., -1:])
    if not ensemble.max_log_var.requires_grad:
        return []
    return [
        (of_x - of_raw).sum(dim=(0, 1)) + BOUND_PULL,
        (of_log_var - of_x).sum(dim=(0, 1)) - BOUND_PULL,
    ]
