# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A batched network's forward and backward pass as a fixed list of operations on fixed memory."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from loop_ros.models.networks import BatchedLinear, BatchedMLP

aten = torch.ops.aten
EPSILON = 1e-5  # of functional.layer_norm


class Backprop:
    """What autograd computes of a BatchedMLP for `rows` inputs, without building its graph.

    Outputs and gradients live in memory that the next pass writes over. Nothing depends on values,
    so the passes can be captured as a CUDA graph.
    """

    def __init__(self, network: BatchedMLP, rows: int, trained: int | None = None) -> None:
        """Only the first `trained` of the rows (default: all) are differentiated."""
        layers = cast('list[BatchedLinear]', list(network.layers))
        # Views of the parameters: whatever trains or loads those in place is seen here.
        self._weights = [layer.weight.detach() for layer in layers]
        self._biases = [layer.bias.detach() for layer in layers]
        self._transposed = [weight.mT for weight in self._weights]
        self._silu = network.activation is functional.silu
        self._layer_norm = network.layer_norm
        self._trained = rows if trained is None else trained
        pairs = zip(self._weights, self._biases, strict=True)
        self.parameters = [part for pair in pairs for part in pair]
        self.gradients = [torch.empty_like(p) for p in self.parameters]
        new, hidden = self._biases[0].new_empty, self._weights[:-1]
        self._sums = [new(len(w), rows, w.shape[2]) for w in self._weights]
        self._sum_gradients = [new(len(w), self._trained, w.shape[2]) for w in hidden]
        # Of each hidden layer: what the activation is applied to, and what it gives.
        self._normed = self._sums[:-1]
        self._outputs = [torch.empty_like(x) if self._silu else x for x in self._normed]
        # Mean and 1 / standard deviation of each layer norm.
        self._scales: list[list[Tensor]] = [[] for _ in hidden]
        self._input = self._sums[0]

    @property
    def outputs(self) -> Tensor:
        """The outputs of the last `forward`."""
        return self._sums[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [num, rows, O] of inputs [num, rows, I]."""
        self._input = x
        last = len(self._sums) - 1
        for i, sums in enumerate(self._sums):
            _linear(self._biases[i], x, self._weights[i], out=sums)
            if i < last:
                x = self._activate(i)
        return self.outputs

    def backward(self, gradient: Tensor) -> list[Tensor]:
        """From the gradient of the outputs [num, trained, O] to those of the parameters.

        In the order of `parameters`; for the inputs of the last `forward`.
        """
        for i in reversed(range(len(self._weights))):
            x = (self._outputs[i - 1] if i else self._input)[:, : self._trained]
            _weight_gradient(x, gradient, out=self.gradients[2 * i])
            torch.sum(gradient, dim=1, keepdim=True, out=self.gradients[2 * i + 1])
            if i:
                gradient = self._pull_back(i, gradient)
        return self.gradients

    def input_gradient(self, gradient: Tensor, columns: slice) -> Tensor:
        """From the gradient of the outputs to that of some columns of the inputs."""
        for i in reversed(range(1, len(self._weights))):
            gradient = self._pull_back(i, gradient)
        return torch.bmm(gradient, self._transposed[0][..., columns])

    def _activate(self, i: int) -> Tensor:
        normed = self._normed[i]
        if self._layer_norm:
            shape = normed.shape[-1:]
            normed, *self._scales[i] = torch.native_layer_norm(
                self._sums[i], shape, None, None, EPSILON
            )
            self._normed[i] = normed
        if self._silu:
            return aten.silu.out(normed, out=self._outputs[i])
        self._outputs[i] = normed.relu_()
        return normed

    def _pull_back(self, i: int, gradient: Tensor) -> Tensor:
        """From the gradient of layer i's outputs to that of layer i-1's sums."""
        out, weight = self._sum_gradients[i - 1], self._transposed[i]
        if weight.shape[1] == 1:
            torch.mul(gradient, weight, out=out)  # an outer product
        else:
            torch.bmm(gradient, weight, out=out)
        first = slice(self._trained)
        if self._silu:
            aten.silu_backward.grad_input(out, self._normed[i - 1][:, first], grad_input=out)
        else:
            output = self._outputs[i - 1][:, first]
            aten.threshold_backward.grad_input(out, output, 0, grad_input=out)
        if not self._layer_norm:
            return out
        mean, scale = (part[:, first].contiguous() for part in self._scales[i - 1])
        sums, wanted = self._sums[i - 1][:, first], [True, False, False]  # of the input alone
        shape = sums.shape[-1:]
        return aten.native_layer_norm_backward(out, sums, shape, mean, scale, None, None, wanted)[0]


def _linear(bias: Tensor, x: Tensor, weight: Tensor, out: Tensor) -> None:
    """Matrix products with a single column are slow in some libraries, with a single row fast."""
    if weight.shape[2] == 1:
        torch.baddbmm(bias, weight.mT, x.mT, out=out.mT)
    else:
        torch.baddbmm(bias, x, weight, out=out)


def _weight_gradient(x: Tensor, gradient: Tensor, out: Tensor) -> None:
    if gradient.shape[2] == 1:
        torch.bmm(gradient.mT, x, out=out.mT)
    else:
        torch.bmm(x.mT, gradient, out=out)
