# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan as the paper lists it (Alg. 3 and 4): plain batched fp32, an operation for each symbol.

The peer that the planner's speed is measured against. It shares the networks' weights with the
planner but none of its code, so that it stays as fast, or as slow, as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from loop_ros.bench.workload import Workload
from loop_ros.models.parts import Parts
from loop_ros.types import Scores

Layers = list[tuple[Tensor, Tensor]]


class Reference:
    """safeARC or ARC over a workload's networks."""

    def __init__(self, workload: Workload, networks: Parts, seed: int = 0) -> None:
        self.settings, self.cost = workload.settings.planner, workload.cost
        if self.settings.algorithm not in ('arc', 'safe_arc') or self.settings.truncate_samples:
            raise ValueError('the reference knows arc and safe_arc with plain samples')
        self.layer_norm = workload.settings.sac.layer_norm
        self.state_dim, self.action_dim = workload.state_dim, workload.action_dim
        self.ensemble, self.actor, self.critic = (
            _layers(network) for network in (networks.ensemble, networks.actor, networks.critic)
        )
        self.scales = networks.ensemble.state_dict()
        self.num_models = len(self.ensemble[0][0])
        self.device = self.ensemble[0][0].device
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.last: Tensor | None = None

    @torch.inference_mode()
    def plan(self, state: Tensor) -> Tensor:
        """The mean action sequence [H, A] from a state [S]."""
        settings = self.settings
        mean = torch.zeros(settings.horizon, self.action_dim, device=self.device)
        if self.last is not None:
            mean = torch.cat((self.last[1:], self.last[-1:]))
        variance = torch.full_like(mean, settings.initial_std**2)
        noise = self.particle_noise()
        proposals = self.proposals(state)
        for iteration in range(settings.num_iterations):
            if iteration > 0 and settings.resample_actor:
                proposals = self.proposals(state)
            num = settings.num_samples - len(proposals)
            drawn = self.normal(num, settings.horizon, self.action_dim)
            sampled = torch.clamp(mean + torch.sqrt(variance) * drawn, -1.0, 1.0)
            candidates = torch.cat((proposals, sampled))
            weights = self.weights(self.scores(state, candidates, noise))[:, None, None]
            new_mean = torch.sum(weights * candidates, dim=0)
            new_variance = torch.sum(weights * (candidates - new_mean) ** 2, dim=0)
            alpha, beta = settings.mean_update, settings.variance_update
            mean = (1.0 - alpha) * mean + alpha * new_mean
            variance = (1.0 - beta) * variance + beta * new_variance
        self.last = mean
        self.scores(state, mean.unsqueeze(0), noise)  # what is said of the plan in the end
        return mean

    def scores(self, state: Tensor, sequences: Tensor, noise: Tensor | None) -> Scores:
        """Returns and costs of sequences [N, H, A]; `noise` [H, K, P, S+1] or None for means."""
        settings, models, num = self.settings, self.num_models, len(sequences)
        particles = 1 if noise is None else settings.num_particles
        states = state.repeat(models, num * particles, 1)
        repeated = sequences.repeat_interleave(particles, dim=0)
        returns = torch.zeros(models, num * particles, device=self.device)
        costs = torch.zeros_like(returns)
        for t in range(settings.horizon):
            actions = repeated[:, t].expand(models, -1, -1)
            drawn = None if noise is None else noise[t].repeat(1, num, 1)
            next_states, rewards, step_costs = self.predict(states, actions, drawn)
            if settings.terminal_value == 'q' and t == settings.horizon - 1:
                rewards = self.value(states, actions)
            returns = returns + settings.discount**t * rewards
            costs = costs + settings.discount**t * step_costs
            states = next_states
        if settings.terminal_value == 'v':
            value = self.value(states, torch.tanh(self.gaussian(states)[0]))
            returns = returns + settings.discount**settings.horizon * value
        by_model = returns.view(models, num, particles).mean(dim=2)
        spread = by_model.std(dim=0, correction=0)
        total = by_model.mean(dim=0) - settings.pessimism * spread
        worst = costs.view(models, num, particles).amax(dim=(0, 2))
        ends = torch.isfinite(states).view(models, num, -1).all(dim=2).all(dim=0)
        finite = torch.isfinite(total) & ends
        returns = torch.where(finite, total, -torch.inf)
        return Scores(returns, torch.where(finite, worst, torch.inf), ~finite)

    def predict(
        self, states: Tensor, actions: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Next states [K, B, S], rewards and costs [K, B] of each model."""
        scales = self.scales
        x = torch.cat((states, actions), dim=-1)
        x = (x - scales['inputs.mean']) / scales['inputs.std']
        for weight, bias in self.ensemble[:-1]:
            x = functional.silu(torch.matmul(x, weight) + bias)
        out = torch.matmul(x, self.ensemble[-1][0]) + self.ensemble[-1][1]
        noisy = self.state_dim + 1
        target, log_var, cost = out.split((noisy, noisy, 1), dim=-1)
        if noise is not None:
            low, high = scales['min_log_var'], scales['max_log_var']
            log_var = high - functional.softplus(high - log_var)
            log_var = low + functional.softplus(log_var - low)
            target = target + torch.sqrt(torch.exp(log_var)) * noise
        target = target * scales['targets.std'] + scales['targets.mean']
        delta, reward = target.split((self.state_dim, 1), dim=-1)
        following = states + delta
        if self.cost is not None and self.settings.cost_source == 'known':
            return following, reward.squeeze(-1), self.cost(following)
        return following, reward.squeeze(-1), cost.squeeze(-1).clamp(min=0.0)

    def value(self, states: Tensor, actions: Tensor) -> Tensor:
        """The critics' value [K, B], as the settings combine them."""
        x = torch.cat((states, actions), dim=-1).flatten(0, 1)
        num = 1 if self.settings.critic == 'q1' else 2
        x = x.expand(num, -1, -1)
        for weight, bias in self.critic[:-1]:
            x = torch.matmul(x, weight[:num]) + bias[:num]
            x = functional.relu(functional.layer_norm(x, x.shape[-1:]) if self.layer_norm else x)
        values = (torch.matmul(x, self.critic[-1][0][:num]) + self.critic[-1][1][:num]).squeeze(-1)
        value = values.mean(dim=0) if self.settings.critic == 'mean' else values.amin(dim=0)
        return value.view(states.shape[:-1])

    def gaussian(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation [..., A] of the actor before the tanh."""
        x = states
        for weight, bias in self.actor[:-1]:
            x = functional.relu(torch.matmul(x, weight[0]) + bias[0])
        out = torch.matmul(x, self.actor[-1][0][0]) + self.actor[-1][1][0]
        mean, log_std = out.chunk(2, dim=-1)
        return mean, torch.exp(log_std.clamp(-10.0, 2.0))

    def proposals(self, state: Tensor) -> Tensor:
        """The actor's share of the sequences [beta N, H, A], each through one model's mean."""
        settings = self.settings
        num = round(settings.actor_fraction * settings.num_samples)
        noise = settings.actor_noise * self.normal(num, settings.horizon, self.action_dim)
        noise[:1] = 0.0  # the first one is the actor's mean
        each = torch.arange(num, device=self.device)
        states, actions = state.repeat(num, 1), []
        for t in range(settings.horizon):
            mean, std = self.gaussian(states)
            actions.append(torch.tanh(mean + std * noise[:, t]))
            if t < settings.horizon - 1:
                shape = self.num_models, -1, -1
                following, _, _ = self.predict(
                    states.expand(shape), actions[-1].expand(shape), None
                )
                states = following[each % self.num_models, each]
        return torch.stack(actions, dim=1)

    def weights(self, scores: Scores) -> Tensor:
        """exp(R / eta) over the (safe) sequences; exp(-C / eta) where too few are safe."""
        settings = self.settings
        if settings.algorithm == 'arc':
            return torch.softmax(scores.returns / settings.temperature, dim=0)
        safe = scores.costs <= settings.d0
        if safe.sum() < settings.min_safe:
            return torch.softmax(-scores.costs / settings.temperature, dim=0)
        rewarding = scores.returns.masked_fill(~safe, -torch.inf)
        return torch.softmax(rewarding / settings.temperature, dim=0)

    def particle_noise(self) -> Tensor | None:
        """One draw a plan [H, K, P, S+1]."""
        if not self.settings.propagate_noise:
            return None
        particles = self.settings.num_particles
        return self.normal(self.settings.horizon, self.num_models, particles, self.state_dim + 1)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return torch.randn(shape, generator=self.generator, device=self.device)


def _layers(network: nn.Module) -> Layers:
    """Weights and biases in order, as a checkpoint has them."""
    tensors = network.state_dict()
    count = sum(name.startswith('network.') and name.endswith('.weight') for name in tensors)
    names = [f'network.layers.{index}' for index in range(count)]
    return [(tensors[f'{name}.weight'], tensors[f'{name}.bias']) for name in names]
