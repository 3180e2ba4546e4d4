# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Actors that are learned from fixed data, and the choice of the actor by the algorithm."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from loop_ros.models.networks import Actor, BatchedMLP
from loop_ros.settings import Settings


class Policy(Protocol):
    """What planning and acting ask of an actor."""

    def mean(self, state: Tensor) -> Tensor:
        """The deterministic action, [..., S] -> [..., A]."""

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        """The action for standard normal `noise` [..., A]; zeros give `mean`."""


class LatentActor(nn.Module):
    """PLAS: a policy in the latent space of a decoder of actions; deterministic.

    The latent action stays within 2 standard deviations of what the decoder was trained on, so the
    action stays among those of the data.
    """

    LIMIT = 2.0

    def __init__(
        self, state_dim: int, action_dim: int, latent_dim: int, width: int, vae_width: int
    ) -> None:
        super().__init__()
        self.state_dim, self.action_dim, self.latent_dim = state_dim, action_dim, latent_dim
        self.policy = BatchedMLP(1, [state_dim, width, width, latent_dim])
        self.decoder = BatchedMLP(1, [state_dim + latent_dim, vae_width, vae_width, action_dim])

    def latent(self, state: Tensor) -> Tensor:
        """The latent action, [..., S] -> [..., Z], within [-2, 2]."""
        return self.LIMIT * torch.tanh(_single(self.policy, state))

    def decode(self, state: Tensor, latent: Tensor) -> Tensor:
        """The action of a latent one, [..., S] and [..., Z] -> [..., A]."""
        return torch.tanh(_single(self.decoder, torch.cat((state, latent), dim=-1)))

    def mean(self, state: Tensor) -> Tensor:
        """The action, [..., S] -> [..., A]."""
        return self.decode(state, self.latent(state))

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        """The same: the policy has no noise of its own."""
        return self.mean(state)


class ClonedActors(nn.Module):
    """MBOP: as many imitations of the data's actions as there are models; deterministic."""

    def __init__(self, num: int, state_dim: int, action_dim: int, width: int) -> None:
        super().__init__()
        self.num = num
        self.network = BatchedMLP(num, [state_dim, width, width, action_dim])

    def each(self, state: Tensor) -> Tensor:
        """The action of every network [K, B, A] in states [K, B, S]."""
        return torch.tanh(self.network(state))

    def mean(self, state: Tensor) -> Tensor:
        """Their mean action, [..., S] -> [..., A]."""
        flat = state.reshape(1, -1, state.shape[-1]).expand(self.num, -1, -1)
        return self.each(flat).mean(dim=0).view(*state.shape[:-1], -1)

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        """The same; none has noise of its own.

        In the states [K, B, S] of K models each network acts in those of one model, as MBOP's do.
        """
        if state.ndim == 3 and len(state) == self.num:
            return self.each(state)
        return self.mean(state)


def make_actor(
    state_dim: int, action_dim: int, settings: Settings
) -> Actor | LatentActor | ClonedActors:
    """The actor that the settings' algorithm trains."""
    width = settings.off_policy.width
    if settings.learning.algorithm == 'plas':
        latent_dim = settings.plas.latent_factor * action_dim
        return LatentActor(state_dim, action_dim, latent_dim, width, settings.plas.vae_width)
    if settings.learning.algorithm == 'mbop':
        return ClonedActors(settings.ensemble.num_models, state_dim, action_dim, width)
    return Actor(state_dim, action_dim, width)


def _single(network: BatchedMLP, x: Tensor) -> Tensor:
    """A single network's outputs for inputs of any leading shape."""
    return network(x.reshape(1, -1, x.shape[-1])).view(*x.shape[:-1], -1)
