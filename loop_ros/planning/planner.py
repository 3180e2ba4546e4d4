# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans of one robot."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.planning import sampling, weighting
from loop_ros.planning.search import Solution, plan_together
from loop_ros.planning.start import SearchStart
from loop_ros.settings import PlannerSettings
from loop_ros.types import Scores


class Planner(SearchStart):
    """Plans in the ensemble; each search starts from the last plan, shifted by one step."""

    def plan(self, state: Tensor, settings: PlannerSettings, most: int | None = None) -> Solution:
        """The best action sequence from `state` [S], sought around the last one (Alg. 3 and 4).

        With a time budget the iterations end while there is still time to evaluate the result; the
        first one always runs. Without one nothing waits for the device. `most` iterations are run
        where it is given, whatever the budget: the same plan again.
        """
        return plan_together([self], state.unsqueeze(0), settings, most)[0]

    @torch.inference_mode()
    def values(self, states: Tensor, settings: PlannerSettings) -> Tensor:
        """What the best sequence found from each of M states [M, S] is worth, [M].

        All are sought together, each from the middle of the action range and without the actor;
        all meet the same noise.
        """
        self.rollout.refresh(settings)
        num = settings.num_samples
        mean = states.new_zeros(len(states), settings.horizon, self.action_dim)
        variance = (mean + settings.initial_std).square()
        noise = self.particle_noise(settings)
        starts = states.repeat_interleave(num, dim=0)
        for _ in range(settings.num_iterations):
            drawn = self.normal(*mean.shape[:-2], num, *mean.shape[-2:])
            candidates = sampling.samples(mean, variance, drawn, settings)
            scores = self.rollout(starts, candidates.flatten(0, 1), noise, settings)
            of_state = Scores(*(part.unflatten(0, (-1, num)) for part in scores))
            weights = weighting.weigh(of_state, settings)
            mean, variance = sampling.update(mean, variance, candidates, weights, settings)
        return self.rollout(states, mean, noise, settings).returns

    def score(self, state: Tensor, sequences: Tensor, settings: PlannerSettings) -> Scores:
        """What the models say of sequences [N, H, A] from `state` [S]."""
        self.rollout.refresh(settings)
        with self.unchanged():
            return self.rollout(state, sequences, self.particle_noise(settings), settings)
