# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The probabilistic ensemble: K Gaussian models of delta-state, reward and cost (appendix C.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from loop_ros.models.networks import BatchedMLP
from loop_ros.models.normalizer import Normalizer
from loop_ros.settings import EnsembleSettings
from loop_ros.types import Batch

MOST_BALANCE = 10.0  # weight of a rare cost in the classifier's loss
BOUND_PULL = 0.01  # of the log-variance's soft bounds towards each other


class Prediction(NamedTuple):
    """Of K models for B states each."""

    next_state: Tensor  # [K, B, S]
    reward: Tensor  # [K, B]
    cost: Tensor  # [K, B], mean or probability
    std: Tensor  # [K, B, S+1], of next state and reward


class Ensemble(nn.Module):
    """K networks as one batched program; inputs and targets are normalised inside."""

    def __init__(self, state_dim: int, action_dim: int, settings: EnsembleSettings) -> None:
        super().__init__()
        self.num_models = settings.num_models
        self.state_dim = state_dim
        self.noisy_dim = state_dim + 1  # delta-state and reward have a variance, the cost has none
        hidden = [settings.width] * settings.num_layers
        outputs = 2 * self.noisy_dim + 1
        self.network = BatchedMLP(
            settings.num_models, [state_dim + action_dim, *hidden, outputs], settings.activation
        )
        self.classifies_cost = settings.cost_head == 'classifier'
        self.cost_balance: Tensor  # weight of a cost of 1, of the present data
        self.register_buffer('cost_balance', torch.ones(()), persistent=False)
        self.inputs = Normalizer(state_dim + action_dim)
        self.targets = Normalizer(self.noisy_dim)
        # Soft bounds of the log-variance, learned with a pull towards each other (PETS).
        self.max_log_var = nn.Parameter(torch.full((self.noisy_dim,), 0.5))
        self.min_log_var = nn.Parameter(torch.full((self.noisy_dim,), -10.0))
        if not settings.learn_variance_bounds:
            self.max_log_var.requires_grad_(False)
            self.min_log_var.requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.max_log_var.device

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised [K, B, S+A] -> normalised mean and log-variance [K, B, S+1], cost [K, B]."""
        sizes = self.noisy_dim, self.noisy_dim, 1
        mean, log_var, cost = self.network(x).split(sizes, dim=-1)
        log_var = soft_clamp(log_var, self.min_log_var, self.max_log_var)
        return mean, log_var, cost.squeeze(-1)

    def predict(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Prediction:
        """One step of each model from states [K, B, S] under actions [K, B, A].

        `noise` [K, P, S+1], standard normal, samples the aleatoric uncertainty of every P rows in
        turn (P divides B); None gives means.
        """
        x = self.inputs.normalize(torch.cat((state, action), dim=-1))
        mean, log_var, cost = self(x)
        std = torch.exp(0.5 * log_var)
        if noise is not None:
            spread = std.unflatten(1, (-1, noise.shape[1]))
            mean = mean + (spread * noise.unsqueeze(1)).flatten(1, 2)
        target = self.targets.denormalize(mean)
        return Prediction(
            state + target[..., :-1], target[..., -1], self.cost(cost), std * self.targets.std
        )

    def cost(self, output: Tensor) -> Tensor:
        """What the network's last output [...] says of a step's cost.

        A classifier's probability counts where it is above one half: of many models and steps the
        worst is taken, and among small probabilities that would be noise.
        """
        if not self.classifies_cost:
            return output
        probability = output.sigmoid()
        return torch.where(probability > 0.5, probability, 0.0)

    def predict_next(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [S] of the state that follows state [S] under action [A].

        The deviation is that of a state drawn from any of the models: their noise and disagreement.
        """
        states = state.expand(self.num_models, 1, -1)
        predicted = self.predict(states, action.expand(self.num_models, 1, -1))
        means, noise = predicted.next_state[:, 0], predicted.std[:, 0, :-1].square().mean(dim=0)
        return means.mean(dim=0), (noise + means.var(dim=0, correction=0)).sqrt()

    def fit_normalizers(self, batch: Batch) -> None:
        """Set the scales of inputs and targets, and the weight of a rare cost, from data."""
        self.check_cost(batch.cost)
        self.inputs.fit(torch.cat((batch.state, batch.action), dim=-1))
        self.targets.fit(self.raw_targets(batch))
        share = (batch.cost > 0).float().mean().clamp(min=1e-6)
        self.cost_balance.copy_(((1.0 - share) / share).clamp(1.0, MOST_BALANCE))

    def check_cost(self, cost: Tensor) -> None:
        """ValueError where one of the costs [B] is none that the ensemble can learn."""
        graded = cost[(cost != 0.0) & (cost != 1.0)] if self.classifies_cost else cost[:0]
        if len(graded):
            raise ValueError(
                f'a cost of {float(graded[0]):g} is neither 0 nor 1: set ensemble.cost_head to '
                'regression'
            )

    @staticmethod
    def raw_targets(batch: Batch) -> Tensor:
        """Delta-state and reward [B, S+1]."""
        return torch.cat((batch.next_state - batch.state, batch.reward.unsqueeze(-1)), dim=-1)

    def negative_log_likelihood(
        self, x: Tensor, target: Tensor, cost: Tensor, beta: float = 0.0
    ) -> Tensor:
        """Gaussian loss of each model [K] on normalised inputs, targets [K, B, .] and costs [K, B].

        Each error is weighted by its predicted variance to the power `beta` (Seitzer et al. 2022).
        The cost is regressed by its squared error, or classified with rare ones weighted.
        """
        mean, log_var, predicted_cost = self(x)
        error = functional.mse_loss(mean, target, reduction='none')
        likelihoods = error * torch.exp(-log_var) + log_var
        if beta > 0.0:
            likelihoods = likelihoods * torch.exp(beta * log_var.detach())
        likelihood = likelihoods.mean(dim=(1, 2))
        if self.classifies_cost:
            losses = functional.binary_cross_entropy_with_logits(
                predicted_cost, cost, pos_weight=self.cost_balance, reduction='none'
            )
        else:
            losses = functional.mse_loss(predicted_cost, cost, reduction='none')
        return likelihood + losses.mean(dim=1)

    def bound_penalty(self) -> Tensor:
        """The pull of the log-variance bounds towards each other."""
        return BOUND_PULL * (self.max_log_var - self.min_log_var).sum()


def soft_clamp(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Bound x smoothly to [low, high]."""
    room = (high - low) - functional.softplus(high - x)  # of the size of the bounds first
    return low + functional.softplus(room)
