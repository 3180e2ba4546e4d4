# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans in the environment's own dynamics, to tell what a learned model costs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from loop_ros.models.planning_ensemble import Trajectory
from loop_ros.sim.task import Task
from loop_ros.types import Array

Predict = Callable[[Array, Array], tuple[Array, Array]]


class TrueDynamics:
    """One model without an error (Theorem 1 with epsilon_m = 0), in the place of an ensemble."""

    num_models = 1

    def __init__(self, task: Task, predict: Predict) -> None:
        """`predict` gives next observations [B, O] and rewards [B] of observations and actions.

        Actions [B, A] are in physical units.
        """
        self._task, self._predict = task, predict

    def refresh(self) -> None:
        """Nothing to take over: the dynamics stay what they are."""

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        """Next states [..., S] of states [..., S] and actions [..., A] in [-1, 1]."""
        return self._step(states, actions)[0]

    def roll(self, state: Tensor, actions: Tensor, noise: Tensor | None) -> Trajectory:
        """Sequences [H, N, A] from state [S], or each row from its own [B, S]; noise has no say."""
        particles = 1 if noise is None else noise.shape[-2]
        actions = actions.repeat_interleave(particles, dim=1)
        states = state.expand(actions.shape[1], -1)
        path, rewards = [], []
        for action in actions:
            states, reward = self._step(states, action)
            path.append(states)
            rewards.append(reward)
        found = torch.stack(path)[:, None], torch.stack(rewards)[:, None]
        return Trajectory(*found, torch.zeros_like(found[1]))

    def _step(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Next states [..., S] and rewards [...]."""
        task, rows = self._task, states.flatten(0, -2).double().cpu()
        observations = rows if task.decode is None else task.decode(rows)
        commands = task.denormalize_action(actions.flatten(0, -2).double().cpu().numpy())
        following, rewards = self._predict(observations.numpy(), commands)
        return (
            task.encode(torch.as_tensor(following)).to(states).view(states.shape),
            torch.as_tensor(rewards).to(states).view(states.shape[:-1]),
        )
