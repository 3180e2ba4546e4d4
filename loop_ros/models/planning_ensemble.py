# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A copy of the ensemble for planning: whole rollouts, at as little work and memory as it takes.

Every buffer is allocated once, and all outputs come from one product. In bfloat16 the products and
activations are rounded, in normalised units; states, rewards and costs are summed in float32.
"""

from __future__ import annotations

import threading
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import BatchedLinear

_BLOCK = 16  # outputs come in multiples of this: float32 products of fewer columns are 2.6x slower


class Trajectory(NamedTuple):
    """Of K models for B rows over H steps; valid until the same thread rolls the next one."""

    states: Tensor  # [H, K, B, S], those that the steps lead to
    rewards: Tensor  # [H, K, B]
    costs: Tensor  # [H, K, B], learned


class _Workspace(NamedTuple):
    """The buffers of one shape of rollout."""

    inputs: Tensor  # [H, K, B, S+A]
    hidden: list[Tensor]  # of each layer, [K, B, width]
    raw: Tensor  # [K, B, outputs], normalised
    outputs: Tensor  # [H, K, B, outputs], float32, in the targets' units
    spread: Tensor  # [K, B, S+1]
    states: Tensor  # [H, K, B, S]


class PlanningEnsemble:
    """Predicts as its ensemble does; `refresh` takes over weights that have changed."""

    def __init__(self, ensemble: Ensemble, dtype: torch.dtype = torch.float32) -> None:
        self.ensemble, self.dtype = ensemble, dtype
        self.num_models, self.state_dim = ensemble.num_models, ensemble.state_dim
        self.noisy_dim = ensemble.noisy_dim
        self.device = ensemble.device
        self._silu = ensemble.network.activation is functional.silu
        layers = cast('list[BatchedLinear]', ensemble.network.layers)
        sizes = [layer.weight.shape[1] for layer in layers]
        outputs = -(-layers[-1].weight.shape[2] // _BLOCK) * _BLOCK
        shapes = zip(sizes, [*sizes[1:], outputs], strict=True)
        self.weights = [self._zeros(self.num_models, *shape) for shape in shapes]
        self.biases = [self._zeros(self.num_models, 1, w.shape[2]) for w in self.weights]
        # Affine maps to normalised inputs and from normalised outputs, and the variance's bounds.
        self.input_scale, self.input_shift = self._float32(sizes[0]), self._float32(sizes[0])
        self.output_scale, self.output_shift = self._float32(outputs), self._float32(outputs)
        self.low, self.span = self._float32(self.noisy_dim), self._float32(self.noisy_dim)
        self._workspaces: dict[tuple[int, ...], _Workspace] = {}
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the ensemble's present weights."""
        ensemble, noisy = self.ensemble, self.noisy_dim
        layers = cast('list[BatchedLinear]', ensemble.network.layers)
        for weight, bias, layer in zip(self.weights, self.biases, layers, strict=True):
            weight[..., : layer.weight.shape[2]].copy_(layer.weight)
            bias[..., : layer.bias.shape[2]].copy_(layer.bias)
        torch.reciprocal(ensemble.inputs.std, out=self.input_scale)
        torch.mul(ensemble.inputs.mean, -self.input_scale, out=self.input_shift)
        std, mean = ensemble.targets.std, ensemble.targets.mean
        self.output_scale.fill_(1.0)
        self.output_scale[:noisy].copy_(std)
        self.output_shift[:noisy].copy_(mean)
        # exp(soft_clamp(x, low, high)) = exp(low) + exp(high) sigmoid(x - high)
        self.output_shift[noisy : 2 * noisy].copy_(-ensemble.max_log_var)
        torch.mul(ensemble.min_log_var.exp(), std**2, out=self.low)
        torch.mul(ensemble.max_log_var.exp(), std**2, out=self.span)

    def roll(self, state: Tensor, actions: Tensor, noise: Tensor | None = None) -> Trajectory:
        """Every model from `state` [S] or [B, S] under `actions` [H, N, A], P particles a sequence.

        `noise` [H, K, P, S+1], standard normal, drives the particles of every sequence alike; None
        makes one particle follow the means. Of [H, K, G, P, S+1], each of G groups of as many
        sequences meets its own. Rows B = N*P, the particles of a sequence in a block.
        """
        horizon, num, _ = actions.shape
        particles = 1 if noise is None else noise.shape[-2]
        if noise is not None and noise.ndim == 4:
            noise = noise.unsqueeze(2)
        work = self._workspace(horizon, num * particles)
        self._set_actions(work.inputs.unflatten(2, (num, particles)), actions[:, None, :, None])
        states = state.expand(self.num_models, num * particles, -1)
        for t in range(horizon):
            output = self._predict(states, work, t)
            if noise is not None:
                self._add_noise(output, noise[t], work.spread)
            torch.add(states, output[..., : self.state_dim], out=work.states[t])
            states = work.states[t]
        return Trajectory(
            work.states,
            work.outputs[..., self.state_dim],
            work.outputs[..., 2 * self.noisy_dim],
        )

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        """The mean next states [K, B, S] of states [K, B, S] under actions [K, B, A]."""
        work = self._workspace(1, states.shape[1])
        self._set_actions(work.inputs[0], actions)
        return states + self._predict(states, work, 0)[..., : self.state_dim]

    def _set_actions(self, inputs: Tensor, actions: Tensor) -> None:
        scale, shift = self.input_scale[self.state_dim :], self.input_shift[self.state_dim :]
        inputs[..., self.state_dim :].copy_(torch.addcmul(shift, actions, scale))

    def _predict(self, states: Tensor, work: _Workspace, t: int) -> Tensor:
        """Outputs [K, B, .] in the targets' units: delta-state, reward, log-variances, cost."""
        scale, shift = self.input_scale[: self.state_dim], self.input_shift[: self.state_dim]
        x = work.inputs[t]
        torch.addcmul(shift, states, scale, out=x[..., : self.state_dim])
        for weight, bias, hidden in zip(self.weights, self.biases, work.hidden, strict=False):
            torch.baddbmm(bias, x, weight, out=hidden)
            x = functional.silu(hidden, inplace=True) if self._silu else hidden.relu_()
        torch.baddbmm(self.biases[-1], x, self.weights[-1], out=work.raw)
        return torch.addcmul(self.output_shift, work.raw, self.output_scale, out=work.outputs[t])

    def _add_noise(self, output: Tensor, noise: Tensor, spread: Tensor) -> None:
        """Add the aleatoric noise [K, G, P, S+1] to delta-state and reward."""
        noisy = self.noisy_dim
        torch.sigmoid(output[..., noisy : 2 * noisy], out=spread)
        torch.addcmul(self.low, spread, self.span, out=spread).sqrt_()
        groups, particles = noise.shape[1:3]
        spread.unflatten(1, (groups, -1, particles)).mul_(noise.unsqueeze(2))
        output[..., :noisy].add_(spread)

    def _workspace(self, horizon: int, rows: int) -> _Workspace:
        # Threads roll shares of the same sequences at the same time: each has its own buffers.
        key = threading.get_ident(), horizon, rows
        if key not in self._workspaces:
            with torch.inference_mode(False):  # usable inside and outside of it
                self._workspaces[key] = self._allocate(horizon, rows)
        return self._workspaces[key]

    def _allocate(self, horizon: int, rows: int) -> _Workspace:
        models, outputs = self.num_models, len(self.output_scale)
        return _Workspace(
            inputs=self._zeros(horizon, models, rows, len(self.input_scale)),
            hidden=[self._zeros(models, rows, w.shape[2]) for w in self.weights[:-1]],
            raw=self._zeros(models, rows, outputs),
            outputs=self._float32(horizon, models, rows, outputs),
            spread=self._float32(models, rows, self.noisy_dim),
            states=self._float32(horizon, models, rows, self.state_dim),
        )

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=self.dtype, device=self.device)

    def _float32(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, device=self.device)
