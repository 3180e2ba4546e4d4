# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A linear world that can be computed by hand, in the shape of the ensemble and the networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop_ros.models.ensemble import Prediction
from loop_ros.models.parts import Parts
from loop_ros.models.planning_ensemble import Trajectory
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import PlannerSettings


@dataclass
class LinearEnsemble:
    """Model k: s' = s + gain[k] a + noise_std * noise, r = reward(s, a), learned cost = |s|."""

    gains: list[float]
    reward: Callable[[Tensor, Tensor], Tensor]
    noise_std: float = 0.0
    state_dim: int = 1
    noisy_dim: int = 2
    num_models: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_models = len(self.gains)

    def cost(self, output: Tensor) -> Tensor:
        return output

    device = torch.device('cpu')

    def refresh(self) -> None:
        pass

    def roll(self, state: Tensor, actions: Tensor, noise: Tensor | None = None) -> Trajectory:
        """As PlanningEnsemble.roll, from `predict` step by step."""
        horizon, num, _ = actions.shape
        particles = 1 if noise is None else noise.shape[2]
        states = state.expand(self.num_models, num * particles, -1)
        steps = []
        for t in range(horizon):
            action = actions[t].repeat_interleave(particles, dim=0).expand(*states.shape[:2], -1)
            steps.append(self.predict(states, action, None if noise is None else noise[t]))
            states = steps[-1].next_state
        states, rewards, costs, _ = (torch.stack(part) for part in zip(*steps, strict=True))
        return Trajectory(states, rewards, costs)

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        return self.predict(states, actions).next_state

    def predict(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Prediction:
        """As Ensemble.predict: states and actions [K, B, 1], noise [K, P, 2] for every P rows."""
        gain = torch.tensor(self.gains, dtype=state.dtype)[:, None, None]
        next_state = state + gain * action
        reward = self.reward(state, action)[..., 0]
        if noise is not None:
            noise = noise.repeat(1, state.shape[1] // noise.shape[1], 1)
            next_state = next_state + self.noise_std * noise[..., :1]
            reward = reward + self.noise_std * noise[..., 1]
        std = self.noise_std * torch.ones(*state.shape[:2], 2)
        return Prediction(next_state, reward, state.abs()[..., 0], std)


class LinearActor:
    """pi(s) = clip(slope s + noise)."""

    def __init__(self, slope: float = 0.1) -> None:
        self.slope = slope

    def mean(self, state: Tensor) -> Tensor:
        return (self.slope * state).clamp(-1.0, 1.0)

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        return (self.slope * state + noise).clamp(-1.0, 1.0)


class LinearCritic:
    """Q1 = 10 s + a, Q2 = 6 s + a."""

    def __call__(self, state: Tensor, action: Tensor) -> Tensor:
        return torch.stack((10.0 * state + action, 6.0 * state + action))[..., 0]

    def first(self, state: Tensor, action: Tensor) -> Tensor:
        return self(state, action)[0]


def plain_reward(state: Tensor, action: Tensor) -> Tensor:
    """r = s + 2 a, [..., 1]."""
    return state + 2.0 * action


def make_rollout(
    ensemble: Any, actor: Any = None, critic: Any = None, cost: Any = None, kind: Any = Rollout
) -> Any:
    """A rollout (of class `kind`) over stand-ins for the networks and the task."""
    return kind(*linear_world(ensemble, actor, critic, cost), lambda same, dtype: same)


def linear_world(
    ensemble: Any, actor: Any = None, critic: Any = None, cost: Any = None, end: Any = None
) -> tuple[Parts, Any]:
    """Stand-ins for the networks, and for what is asked of their task."""
    parts: Any = ensemble, actor or LinearActor(), critic or LinearCritic()
    task = SimpleNamespace(cost=cost, termination=end, goal_resampled=None, action_labels=('push',))
    return Parts(*parts), task


def loop_scores(
    gains: list[float],
    std: float,
    start: float,
    sequences: list[list[float]],
    noise: np.ndarray,
    settings: PlannerSettings,
) -> tuple[list[float], list[float]]:
    """Algorithm 4, lines 4 to 28, one number at a time; cost(s) = max(0, s)."""
    horizon, models, particles, _ = noise.shape
    returns, costs = [], []
    for sequence in sequences:
        by_model, worst = [], -math.inf
        for k in range(models):
            total = 0.0
            for p in range(particles):
                s, cost = start, 0.0
                for t in range(1, horizon + 1):
                    a, gamma = sequence[t - 1], settings.discount ** (t - 1)
                    if t == horizon and settings.terminal_value == 'q':
                        total += gamma * (10 * s + a)
                    else:
                        total += gamma * (s + 2 * a + std * noise[t - 1, k, p, 1])
                    s = s + gains[k] * a + std * noise[t - 1, k, p, 0]
                    cost += gamma * max(0.0, s)
                if settings.terminal_value == 'v':
                    total += settings.discount**horizon * (10 * s + min(1, max(-1, 0.1 * s)))
                worst = max(worst, cost)
            by_model.append(total / particles)
        mean = sum(by_model) / models
        std_models = math.sqrt(sum((r - mean) ** 2 for r in by_model) / models)
        returns.append(mean - settings.pessimism * std_models)
        costs.append(worst)
    return returns, costs
