# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one scoring function of every planner: (state, action sequences) -> returns, costs.

All sequences, models and particles move together; the only loop is the one over time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from loop_ros.models.ensemble import Ensemble, Prediction
from loop_ros.models.networks import Actor, TwinCritic
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores

Cost = Callable[[Tensor], Tensor]
WORTHLESS = -1e9


class Rollout:
    """Rolls action sequences through the ensemble and scores them (Alg. 4, lines 12 to 27)."""

    def __init__(
        self, ensemble: Ensemble, actor: Actor, critic: TwinCritic, cost: Cost | None
    ) -> None:
        self.ensemble, self.actor, self.critic, self.cost = ensemble, actor, critic, cost
        self.refresh()

    def refresh(self) -> None:
        """Take over the ensemble's present weights, as each plan does at its start."""
        self.model = self.ensemble.folded()

    def __call__(
        self,
        state: Tensor,
        sequences: Tensor,
        noise: Tensor | None,
        settings: PlannerSettings,
        visited: list[Tensor] | None = None,
    ) -> Scores:
        """Score sequences [N, H, A] from state [S].

        `noise` [H, K, P, S+1] drives the particles; every sequence meets the same noise, so that
        sequences differ by their actions alone. None makes the particles follow the means.
        `visited`, where given, collects the states [K, N*P, S] met at the H steps.
        """
        models, particles = (
            self.ensemble.num_models,
            settings.num_particles if noise is not None else 1,
        )
        num, horizon, _ = sequences.shape
        actions = sequences.transpose(0, 1).repeat_interleave(particles, dim=1)  # [H, N*P, A]
        actions = actions.unsqueeze(1).expand(-1, models, -1, -1)
        steps, states = [], state.expand(models, num * particles, -1)
        for t in range(horizon):
            before = states
            step = self.model.predict(states, actions[t], None if noise is None else noise[t])
            steps.append(step)
            states = step.next_state
        path = torch.stack([step.next_state for step in steps])  # [H, K, N*P, S]
        if visited is not None:
            visited.extend(path)
        discounts = settings.discount ** torch.arange(horizon + 1).to(state)
        rewards = torch.stack([step.reward for step in steps])
        if settings.terminal_value == 'q':  # Alg. 3: Q takes the place of the last reward
            rewards[-1] = self._value(before, actions[-1], settings)
        returns = torch.tensordot(discounts[:-1], rewards, dims=1)
        if settings.terminal_value == 'v':
            value = self._value(states, self.actor.mean(states), settings)
            returns = returns + discounts[-1] * value
        costs = torch.tensordot(discounts[:-1], self._costs(steps, path, settings), dims=1)
        by_model = returns.view(models, num, particles).mean(dim=2)
        total = by_model.mean(dim=0) - settings.pessimism * by_model.std(dim=0, correction=0)
        worst = costs.view(models, num, particles).amax(dim=(0, 2))
        # A rollout that leaves the numbers (a diverging model) is worth nothing and is not safe.
        sound = total.isfinite() & states.isfinite().view(models, num, -1).all(dim=2).all(dim=0)
        return Scores(torch.where(sound, total, WORTHLESS), torch.where(sound, worst, -WORTHLESS))

    def actor_sequences(self, state: Tensor, noise: Tensor, settings: PlannerSettings) -> Tensor:
        """Whole action sequences [n, H, A] of the actor, each through one model's mean.

        `noise` [n, H, A], standard normal, is scaled by `actor_noise`; the first sequence is the
        actor's mean.
        """
        num, horizon, _ = noise.shape
        noise = noise * settings.actor_noise
        noise[0] = 0.0
        models = self.ensemble.num_models
        each = torch.arange(num, device=state.device)
        states, actions = state.expand(num, -1), []
        for t in range(horizon):
            actions.append(self.actor.act(states, noise[:, t]))
            if t < horizon - 1:
                predicted = self.model.predict(
                    states.expand(models, -1, -1), actions[-1].expand(models, -1, -1)
                )
                states = predicted.next_state[each % models, each]
        return torch.stack(actions, dim=1)

    def _value(self, states: Tensor, action: Tensor, settings: PlannerSettings) -> Tensor:
        """Terminal value [K, B] of states [K, B, S] and actions [K, B, A]."""
        models, batch, _ = states.shape
        flat = states.reshape(models * batch, -1), action.reshape(models * batch, -1)
        if settings.critic == 'q1':
            return self.critic.first(*flat).view(models, batch)
        values = self.critic(*flat)
        value = values.amin(dim=0) if settings.critic == 'min' else values.mean(dim=0)
        return value.view(models, batch)

    def _costs(self, steps: list[Prediction], path: Tensor, settings: PlannerSettings) -> Tensor:
        """Cost [H, K, B] of each step: that of the state it leads to, as the task counts it."""
        if settings.cost_source == 'known' and self.cost is not None:
            return self.cost(path)
        return torch.stack([step.cost for step in steps]).clamp(min=0.0)
