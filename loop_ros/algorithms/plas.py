# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policy in the latent action space (Zhou et al. 2020): actions that a decoder knows, no others."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from loop_ros.algorithms.off_policy import TrainingState
from loop_ros.learning import processes
from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.learning.critic_step import CriticStep, twice
from loop_ros.models.networks import BatchedMLP, TwinCritic
from loop_ros.models.offline_actors import LatentActor
from loop_ros.settings import PlasSettings, SacSettings
from loop_ros.types import Batch

LOG_STD_BOUNDS = (-4.0, 15.0)  # of the encoder


class PLAS:
    """First a conditional variational autoencoder of the actions, then policy and twin critics.

    The decoder is part of the actor; the encoder is needed in training alone. Hidden layers of
    policy and critics are equally wide here (paper: 400 and 300 units).
    """

    needs_model = False

    def __init__(
        self,
        actor: LatentActor,
        critic: TwinCritic,
        sac: SacSettings,
        settings: PlasSettings,
        generator: torch.Generator,
    ) -> None:
        """Discount, rates and the critics' step size are those of `sac`."""
        self.actor, self.critic, self.sac, self.settings = actor, critic, sac, settings
        self.generator = generator
        width, latent_dim = settings.vae_width, actor.latent_dim
        inputs = actor.state_dim + actor.action_dim
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator.initial_seed())
            self.encoder = BatchedMLP(1, [inputs, width, width, 2 * latent_dim])
        self.encoder.to(generator.device).requires_grad_(False)
        self.policy_target = copy.deepcopy(actor.policy).requires_grad_(False)
        self.critic_target = copy.deepcopy(critic).requires_grad_(False)
        vae = [*self.encoder.parameters(), *actor.decoder.parameters()]
        self.vae_optimizer = Adam(vae, settings.vae_learning_rate)
        self.actor_optimizer = Adam(list(actor.policy.parameters()), settings.actor_learning_rate)
        self.critic_optimizer = Adam(list(critic.parameters()), sac.learning_rate)
        self._updates = torch.zeros(())  # on the CPU: nothing waits for it
        self._passes = _Passes(self, sac.batch_size)

    @torch.no_grad()
    def update(self, batch: Batch, target: Tensor | None = None) -> dict[str, Tensor]:
        """One gradient step of the autoencoder, then, when its updates are done, of the others."""
        if len(batch.reward) != self._passes.rows:
            self._passes = _Passes(self, len(batch.reward))
        figures = {
            name: batch.reward.new_zeros(())
            for name in ('critic_loss', 'actor_loss', 'vae_loss', 'reconstruction', 'divergence')
        }
        if int(self._updates) < self.settings.vae_updates:
            shape = len(batch.reward), self.actor.latent_dim
            noise = processes.normal(shape, self.generator)
            figures |= self._passes.update_vae(batch, noise)
        else:
            wanted = self.target(batch) if target is None else target
            figures |= self._passes.update_policy(batch, wanted)
            self._follow()
        self._updates += 1
        return figures

    @torch.no_grad()
    def target(self, batch: Batch) -> Tensor:
        """The target [B]: r + gamma (lambda min Q' + (1 - lambda) max Q') of the slow copies."""
        slow = LatentActor.LIMIT * torch.tanh(self.policy_target(batch.next_state[None])[0])
        action = self.actor.decode(batch.next_state, slow)
        values = self.critic_target(batch.next_state, action)
        weight = self.settings.min_weight
        value = weight * values.amin(dim=0) + (1.0 - weight) * values.amax(dim=0)
        return batch.reward + self.sac.discount * (1.0 - batch.terminated) * value

    def training_state(self) -> TrainingState:
        """Optimisers, encoder, slow copies and how far it is."""
        return TrainingState(
            {
                'vae_optimizer': self.vae_optimizer,
                'actor_optimizer': self.actor_optimizer,
                'critic_optimizer': self.critic_optimizer,
            },
            {
                'encoder': self.encoder,
                'policy_target': self.policy_target,
                'critic_target': self.critic_target,
            },
            {'updates': self._updates},
        )

    def _follow(self) -> None:
        """The slow copies, towards the present networks."""
        for slow, network in (
            (self.policy_target, self.actor.policy),
            (self.critic_target, self.critic),
        ):
            present = [p.detach() for p in network.parameters()]
            torch._foreach_lerp_(list(slow.parameters()), present, self.sac.tau)


class _Passes:
    """The passes of an update, in fixed memory for a number of rows B."""

    def __init__(self, plas: PLAS, rows: int) -> None:
        self.plas, self.rows = plas, rows
        self._encoder = Backprop(plas.encoder, rows)
        self._decoder = Backprop(plas.actor.decoder, rows)
        self._policy = Backprop(plas.actor.policy, rows)
        self._critic_step = CriticStep(plas.critic, plas.critic_optimizer, rows)
        self._behind_state = slice(
            plas.actor.state_dim, None
        )  # columns of the latent code, or the action

    def update_vae(self, batch: Batch, noise: Tensor) -> dict[str, Tensor]:
        """Down the mean squared reconstruction error plus the weighted divergence of the code.

        The code is z = mean + std `noise` [B, Z]. Divergence is that from the standard normal,
        a mean over dimensions, as the reconstruction error is.
        """
        plas = self.plas
        inputs = torch.cat((batch.state, batch.action), dim=-1).unsqueeze(0)
        mean, raw = self._encoder.forward(inputs)[0].chunk(2, dim=-1)
        log_std = raw.clamp(*LOG_STD_BOUNDS)
        std = log_std.exp()
        code = mean + std * noise
        decoded = self._decode(batch.state, code)
        error = decoded - batch.action
        reconstruction = error.square().mean()
        divergence = -0.5 * (1.0 + 2.0 * log_std - mean.square() - std.square()).mean()
        of_decoded = (2.0 / error.numel()) * error * (1.0 - decoded.square())
        decoder = self._decoder.backward(of_decoded.unsqueeze(0))
        of_code = self._decoder.input_gradient(of_decoded.unsqueeze(0), self._behind_state)[0]
        share = plas.settings.kl_weight / code.numel()
        of_log_std = of_code * noise * std + share * (std.square() - 1.0)
        outputs = torch.cat((of_code + share * mean, of_log_std * (log_std == raw)), dim=-1)
        encoder = self._encoder.backward(outputs.unsqueeze(0))
        plas.vae_optimizer.step([*encoder, *decoder])
        return {
            'vae_loss': reconstruction + plas.settings.kl_weight * divergence,
            'reconstruction': reconstruction,
            'divergence': divergence,
        }

    def update_policy(self, batch: Batch, target: Tensor) -> dict[str, Tensor]:
        """The critics towards their target [B], then the policy up the first of them."""
        stored = torch.cat((batch.state, batch.action), dim=-1)
        critic_loss = self._critic_step(stored, target)
        squashed = torch.tanh(self._policy.forward(batch.state.unsqueeze(0))[0])
        action = self._decode(batch.state, LatentActor.LIMIT * squashed)
        critic = self._critic_step.network
        values = critic.forward(twice(torch.cat((batch.state, action), dim=-1)))
        upwards = torch.zeros_like(values)
        upwards[0] = -1.0 / self.rows
        of_action = critic.input_gradient(upwards, self._behind_state)[0]
        of_decoded = (of_action * (1.0 - action.square())).unsqueeze(0)
        of_code = self._decoder.input_gradient(of_decoded, self._behind_state)[0]
        outputs = LatentActor.LIMIT * of_code * (1.0 - squashed.square())
        self.plas.actor_optimizer.step(self._policy.backward(outputs.unsqueeze(0)))
        return {'critic_loss': critic_loss, 'actor_loss': -values[0].mean()}

    def _decode(self, state: Tensor, code: Tensor) -> Tensor:
        return torch.tanh(self._decoder.forward(torch.cat((state, code), dim=-1).unsqueeze(0))[0])
