# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions that the ensemble makes up under the actor: MBPO's branches, MOPO's penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loop_ros.types import Batch


class Imagination:
    """Steps of the actor in a model drawn anew for each state and step, noise included."""

    def __init__(
        self,
        ensemble: Any,
        actor: Any,
        termination: Callable[[Tensor], Tensor] | None,
        generator: torch.Generator,
        penalty: float = 0.0,
    ) -> None:
        """`penalty` is MOPO's lambda."""
        self.ensemble, self.actor, self.termination = ensemble, actor, termination
        self.generator, self.penalty = generator, penalty

    @torch.no_grad()
    def branch(self, states: Tensor, action_dim: int, count: int, length: int) -> Batch:
        """`count` transitions of branches of `length` steps from states [B, S].

        A branch that reaches the end of an episode goes on from another one of the states.
        """
        branches = -(-count // length)
        each = torch.arange(branches, device=states.device)
        state, steps = states[each % len(states)], []
        for step in range(1, length + 1):
            action = self.actor.act(state, self.normal(branches, action_dim))
            steps.append(self.step(state, action))
            fresh = states[(step * branches + each) % len(states)]
            ended = steps[-1].terminated.bool().unsqueeze(-1)
            state = torch.where(ended, fresh, steps[-1].next_state)
        return Batch(*(torch.cat(part)[:count] for part in zip(*steps, strict=True)))

    @torch.no_grad()
    def step(self, state: Tensor, action: Tensor) -> Batch:
        """What one random model makes of each action [B, A] in its state [B, S]."""
        count, models = len(state), self.ensemble.num_models
        noise = self.normal(1, count, self.ensemble.noisy_dim).expand(models, -1, -1)
        predicted = self.ensemble.predict(
            state.expand(models, -1, -1), action.expand(models, -1, -1), noise
        )
        pick = torch.randint(models, (count,), generator=self.generator, device=state.device)
        each = torch.arange(count, device=state.device)
        reward, reached = predicted.reward[pick, each], predicted.next_state[pick, each]
        if self.penalty:
            reward = reward - self.penalty * uncertainty(predicted.std)
        if self.termination is None:
            terminated = torch.zeros_like(reward)
        else:
            terminated = self.termination(reached).to(reached.dtype)
        return Batch(state, action, reward, predicted.cost[pick, each], reached, terminated)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal noise."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device)


def uncertainty(std: Tensor) -> Tensor:
    """MOPO's u(s, a) [B]: the largest norm over models of the predicted std [K, B, S+1]."""
    return std.norm(dim=-1).amax(dim=0)
