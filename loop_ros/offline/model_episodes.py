# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies driven in the learned models: an actor, or ARC by any settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from loop_ros.agent import Agent
from loop_ros.offline.coverage import Coverage
from loop_ros.planning import weighting
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores

Policy = Callable[[Tensor], Tensor]  # states [M, S] to actions [M, A]


@torch.inference_mode()
def evaluate_in_model(
    agent: Agent, policy: Policy, starts: Tensor, steps: int, coverage: Coverage | None = None
) -> dict[str, float]:
    """Drive episodes of a policy in each model's mean; sums are not discounted.

    `starts` are states [B, S], `steps` the length of an episode that does not terminate. Returns
    'return' and 'mean_cost', 'spread', the standard deviation over models of the mean return,
    'lower', the return less it, and 'worst_cost' of any episode in any model. Plans look ahead in
    the same models, so where the data are few they are judged too kindly: with `coverage` the
    spread is widened by what no model can know, 'most_cost' is the worst cost with it, and
    'covered' the share of steps near recorded ones, and 'diverged' whether they are no episodes.
    """
    ensemble, task = agent.ensemble, agent.task
    known = agent.settings.planner.cost_source == 'known'
    states = starts.to(agent.device).expand(ensemble.num_models, -1, -1)
    returns = torch.zeros(states.shape[:2], device=agent.device)
    costs, alive = torch.zeros_like(returns), torch.ones_like(returns)
    lived, beside = torch.zeros(states.shape[:2]), torch.zeros(states.shape[:2])
    for _ in range(steps):
        action = policy(states.flatten(0, 1)).unflatten(0, states.shape[:2])
        if coverage is not None:
            lived += alive.cpu()
            beside += alive.cpu() * ~coverage.covers(states, action)
        predicted = ensemble.predict(states, action)
        states = predicted.next_state
        cost = task.cost(states) if known and task.cost else predicted.cost.clamp(min=0.0)
        returns, costs = returns + alive * predicted.reward, costs + alive * cost
        if task.termination is not None:
            alive = alive * (~task.termination(states)).to(alive.dtype)
    by_model = returns.mean(dim=1)
    mean, spread = float(by_model.mean()), float(by_model.std(correction=0))
    found = {
        'return': mean,
        'spread': spread,
        'lower': mean - spread,
        'mean_cost': float(costs.mean()),
        'worst_cost': float(costs.max()),
    }
    return found if coverage is None else coverage.widened(found, lived, beside)


class ArcPolicy:
    """ARC in many states at once as it plans offline: one iteration, all proposals the actor's.

    Eq. 8 with the objective of Eq. 9, under d0 where the settings say so; models are followed by
    their means.
    """

    def __init__(self, agent: Agent, settings: PlannerSettings, num: int, seed: int) -> None:
        """`num` sequences for each state, drawn alike for one `seed`."""
        self.settings = dataclasses.replace(
            settings,
            propagate_noise=False,
            algorithm='safe_arc' if settings.constrained else 'arc',
            min_safe=max(1, round(settings.min_safe * num / settings.num_samples)),
        )
        self._rollout, self._num = agent.planner.rollout, num
        self._action_dim = len(agent.task.action_labels)
        self._generator = torch.Generator().manual_seed(seed)
        self._rollout.refresh(self.settings)

    @torch.inference_mode()
    def __call__(self, states: Tensor) -> Tensor:
        """Actions [M, A] in states [M, S]."""
        shape = (len(states), self._num, self.settings.horizon, self._action_dim)
        noise = torch.randn(shape, generator=self._generator).to(states.device)
        sequences = self._rollout.actor_sequences(states, noise, self.settings)  # [M, n, H, A]
        starts = states.repeat_interleave(self._num, dim=0)
        scores = self._rollout(starts, sequences.flatten(0, 1), None, self.settings)
        of_state = Scores(*(part.view(len(states), self._num) for part in scores))
        weights = weighting.weigh(of_state, self.settings)[..., None]
        return (weights * sequences[:, :, 0]).sum(dim=1)
