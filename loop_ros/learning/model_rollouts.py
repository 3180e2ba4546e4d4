# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model rollouts: transitions of the actor in the ensemble (MBPO), with MOPO's penalty."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.models.parts import Parts
from loop_ros.sim.task import Task
from loop_ros.types import Batch


class ModelRollouts:
    """Steps of the actor in a model drawn for each state and step, noise included."""

    def __init__(
        self, parts: Parts, task: Task, generator: torch.Generator, penalty: float = 0.0
    ) -> None:
        """`penalty` is MOPO's lambda."""
        self.ensemble, self.actor, self.task = parts.ensemble, parts.actor, task
        self.generator, self.penalty = generator, penalty

    @torch.no_grad()
    def branch(self, states: Tensor, count: int, length: int) -> Batch:
        """`count` transitions of branches of `length` steps from states [B, S].

        A branch that ends or reaches a goal resumes from another one of the states.
        """
        branches = -(-count // length)
        each = torch.arange(branches, device=states.device)
        state, steps = states[each % len(states)], []
        for step in range(1, length + 1):
            steps.append(self.step(state, self.actor.act(state, self.action_noise(branches))))
            fresh = states[(step * branches + each) % len(states)]
            ended = steps[-1].terminated.bool() | self.resampled(steps[-1])
            state = torch.where(ended.unsqueeze(-1), fresh, steps[-1].next_state)
        return Batch(*(torch.cat(part)[:count] for part in zip(*steps, strict=True)))

    @torch.no_grad()
    def step(self, state: Tensor, action: Tensor) -> Batch:
        """What one random model predicts of each action [B, A] in its state [B, S]."""
        count, models = len(state), self.ensemble.num_models
        noise = self._normal(1, count, self.ensemble.noisy_dim).expand(models, -1, -1)
        predicted = self.ensemble.predict(
            state.expand(models, -1, -1), action.expand(models, -1, -1), noise
        )
        pick = torch.randint(models, (count,), generator=self.generator, device=state.device)
        each = torch.arange(count, device=state.device)
        reward, next_state = predicted.reward[pick, each], predicted.next_state[pick, each]
        if self.penalty:
            reward = reward - self.penalty * uncertainty(predicted.std)
        if self.task.termination is None:
            terminated = torch.zeros_like(reward)
        else:
            terminated = self.task.termination(next_state).to(next_state.dtype)
        return Batch(state, action, reward, predicted.cost[pick, each], next_state, terminated)

    def resampled(self, batch: Batch) -> Tensor:
        """Whether each transition reaches a goal, [B] bool: no model can say where the next is."""
        if self.task.goal_resampled is None:
            return torch.zeros_like(batch.terminated, dtype=torch.bool)
        return self.task.goal_resampled(batch.next_state)

    def action_noise(self, count: int) -> Tensor:
        """Standard normal noise of `count` actions."""
        return self._normal(count, len(self.task.action_labels))

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)


def uncertainty(std: Tensor) -> Tensor:
    """MOPO's u(s, a) [B]: the largest norm over models of the predicted std [K, B, S+1]."""
    return std.norm(dim=-1).amax(dim=0)
