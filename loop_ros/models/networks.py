# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several networks as one batched program, and SAC's actor and critics built from them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from loop_ros.settings import OffPolicySettings

Which = slice | Tensor | None  # some of several networks, or all
Drop = Callable[[Tensor], Tensor] | None  # what leaves out hidden units [num, B, width]


class BatchedLinear(nn.Module):
    """`num` linear layers side by side: [num, B, inputs] -> [num, B, outputs]."""

    def __init__(self, num: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(num, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor, which: Which = None) -> Tensor:
        """All layers, or some of them, each on its own inputs."""
        if which is None:  # a slice costs its gradient a copy
            return torch.baddbmm(self.bias, x, self.weight)
        return torch.baddbmm(self.bias[which], x, self.weight[which])


class BatchNorm(nn.Module):
    """Batch normalisation of `num` networks' units side by side, [num, B, width]."""

    RATE = 0.01  # at which the kept mean and variance follow those of the batches
    EPSILON = 1e-3  # added to the variance

    def __init__(self, num: int, width: int) -> None:
        super().__init__()
        shape = num, 1, width
        self.scale, self.shift = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer('mean', torch.zeros(shape))
        self.register_buffer('variance', torch.ones(shape))

    def forward(self, x: Tensor, which: Which, learn: bool) -> Tensor:
        """By the statistics of this batch where it is to `learn` them, else by the kept ones."""
        if learn:
            return self._learn(x)
        which = slice(None) if which is None else which
        scale = self.scale[which] * torch.rsqrt(self.variance[which] + self.EPSILON)
        return torch.addcmul(self.shift[which], x - self.mean[which], scale)

    def _learn(self, x: Tensor) -> Tensor:
        """Of all networks, as columns of one: torch has a kernel for that."""
        num, count, width = x.shape
        columns = functional.batch_norm(
            x.transpose(0, 1).reshape(count, num * width),
            self.mean.view(-1),
            self.variance.view(-1),
            self.scale.view(-1),
            self.shift.view(-1),
            training=True,
            momentum=self.RATE,
            eps=self.EPSILON,
        )
        return columns.view(count, num, width).transpose(0, 1)


class BatchedMLP(nn.Module):
    """`num` multilayer perceptrons side by side; `activation` is 'relu' or 'silu'.

    `layer_norm` is before the activations, `batch_norm` of the inputs and after them (CrossQ).
    """

    def __init__(
        self,
        num: int,
        sizes: list[int],
        activation: str = 'relu',
        layer_norm: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            BatchedLinear(num, a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        # In place where the gradient allows it: relu's needs the output, silu's the input.
        self.activation = {'relu': torch.relu_, 'silu': functional.silu}[activation]
        self.layer_norm = layer_norm
        if layer_norm:  # a scale and shift that change nothing, or torch's kernel is half as fast
            self.ones: Tensor
            self.zeros: Tensor
            self.register_buffer('ones', torch.ones(sizes[1]), persistent=False)
            self.register_buffer('zeros', torch.zeros(sizes[1]), persistent=False)
        norms = [BatchNorm(num, size) for size in sizes[:-1]] if batch_norm else []
        self.batch_norms = nn.ModuleList(norms)

    def forward(
        self, x: Tensor, which: Which = None, drop: Drop = None, learn: bool = False
    ) -> Tensor:
        """Outputs [num, B, .] of inputs [num, B, .], of all networks or some.

        With `learn`, of all, batch normalisation goes by this batch, and keeps its statistics.
        """
        *hidden, last = self.layers
        x = self._normalized(0, x, which, learn)
        for number, layer in enumerate(hidden, 1):
            x = layer(x, which)
            if drop is not None:
                x = drop(x)
            if self.layer_norm:
                x = functional.layer_norm(x, x.shape[-1:], self.ones, self.zeros)
            x = self._normalized(number, self.activation(x), which, learn)
        return last(x, which)

    def _normalized(self, number: int, x: Tensor, which: Which, learn: bool) -> Tensor:
        return self.batch_norms[number](x, which, learn) if self.batch_norms else x


class Actor(nn.Module):
    """tanh-Gaussian policy over actions in [-1, 1] (SAC)."""

    LOG_STD_BOUNDS = (-10.0, 2.0)
    EDGE = 0.999

    def __init__(self, state_dim: int, action_dim: int, width: int) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.network = BatchedMLP(1, [state_dim, width, width, 2 * action_dim])

    def gaussian(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-std [..., A] of the action before tanh, in states [..., S]."""
        flat = self.network(state.reshape(1, -1, state.shape[-1]))
        mean, log_std = flat.reshape(*state.shape[:-1], -1).chunk(2, dim=-1)
        return mean, log_std.clamp(*self.LOG_STD_BOUNDS)

    def mean(self, state: Tensor) -> Tensor:
        """The deterministic action, [..., S] -> [..., A]."""
        return torch.tanh(self.gaussian(state)[0])

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        """The action for standard normal `noise` [..., A]; zeros give `mean`."""
        mean, log_std = self.gaussian(state)
        return torch.tanh(mean + log_std.exp() * noise)

    def sample(self, state: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Action [..., A] for standard normal `noise` and its log-probability [...]."""
        mean, log_std = self.gaussian(state)
        raw = mean + log_std.exp() * noise
        return torch.tanh(raw), _log_density(raw, noise, log_std)

    @classmethod
    def log_prob(cls, mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
        """Log-probability [...] of actions [..., A] under a `gaussian`.

        Actions beyond EDGE count as it: the policy itself never says 1.
        """
        raw = torch.atanh(action.clamp(-cls.EDGE, cls.EDGE))
        return _log_density(raw, (raw - mean) * torch.exp(-log_std), log_std)


class Critics(nn.Module):
    """Several Q-functions, evaluated together: SAC's twins, or an ensemble."""

    def __init__(self, state_dim: int, action_dim: int, settings: OffPolicySettings) -> None:
        super().__init__()
        self.num = settings.num_critics
        sizes = [state_dim + action_dim, settings.width, settings.width, 1]
        by_batch = settings.batch_norm
        by_layer = settings.layer_norm and not by_batch
        self.network = BatchedMLP(self.num, sizes, layer_norm=by_layer, batch_norm=by_batch)

    def forward(
        self,
        state: Tensor,
        action: Tensor,
        which: Tensor | None = None,
        drop: Drop = None,
        learn: bool = False,
    ) -> Tensor:
        """Q-values [num, B] of states [B, S] and actions [B, A], of all critics or of `which`.

        `learn` is that of BatchedMLP.
        """
        x = torch.cat((state, action), dim=-1)
        num = self.num if which is None else len(which)
        return self.network(x.expand(num, *x.shape), which, drop, learn).squeeze(-1)

    def first(self, state: Tensor, action: Tensor) -> Tensor:
        """Q-values [B] of the first critic only."""
        x = torch.cat((state, action), dim=-1)
        return self.network(x.unsqueeze(0), slice(1)).squeeze(-1)[0]


def _log_density(raw: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Log-density [...] of tanh(raw), where raw [..., A] is `noise` deviations from the mean."""
    # log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)), without cancellation
    gaussian = -0.5 * (noise**2 + math.log(2 * math.pi)) - 2.0 * math.log(2.0)
    slope = 2.0 * (raw + functional.softplus(-2.0 * raw))
    return (slope - log_std + gaussian).sum(-1)
