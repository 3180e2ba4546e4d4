# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where recorded transitions lie, and what an episode in a model is worth that leaves them."""

from __future__ import annotations

import torch
from torch import Tensor

from loop_ros.models.normalizer import scale
from loop_ros.offline.data import OfflineData

NEAR = 0.95  # share of held-out transitions that count as near to those of the training
MOST_RECORDED, MOST_HELD_OUT = 20_000, 2_000  # rows, drawn from the data
CHUNK = 1_000  # rows at a time: 80 MB of distances
FAR = 10  # times the largest recorded reward a step, beyond which a model's episode is none


class Coverage:
    """Tells states and actions that are like recorded ones from those that no model has seen.

    Near is what lies no farther from a recorded state and action, in their standard deviations,
    than 95% of the transitions of held-out episodes do.
    """

    def __init__(self, data: OfflineData, held_out: Tensor, seed: int) -> None:
        """`held_out` [N] marks transitions that the models were not trained on."""
        batch = data.batch
        table = torch.cat((batch.state, batch.action), dim=1)
        self._scale = scale(table)
        generator = torch.Generator().manual_seed(seed)

        def drawn(of: Tensor, most: int) -> Tensor:
            rows = of.nonzero()[:, 0]
            rows = rows[torch.randperm(len(rows), generator=generator)[:most]]
            return table[rows] / self._scale

        self._recorded = drawn(~held_out, MOST_RECORDED)
        self._near = self._distance(drawn(held_out, MOST_HELD_OUT)).quantile(NEAR)
        self._reward_std = float(batch.reward.std(correction=0))
        largest = max(float(batch.reward.abs().max()), float(scale(batch.reward[:, None])))
        self._far = FAR * largest
        self._cost = float(batch.cost.max())

    def covers(self, states: Tensor, actions: Tensor) -> Tensor:
        """Whether states [..., S] with actions [..., A] are near recorded ones, [...]."""
        table = torch.cat((states, actions), dim=-1).cpu() / self._scale
        return (self._distance(table.flatten(0, -2)) <= self._near).view(states.shape[:-1])

    def widened(self, found: dict[str, float], steps: Tensor, beside: Tensor) -> dict[str, float]:
        """What episodes in the models came to, with what is not known of them.

        They lasted `steps` [...], of which `beside` [...] were not covered: each of these may be
        off by a standard deviation of the recorded rewards, and cost as much as any recorded one.
        'diverged': what they returned is not finite, or far beyond what was ever recorded.
        """
        spread = found['spread'] + float(beside.mean()) * self._reward_std
        return {
            **found,
            'covered': 1.0 - float(beside.sum() / steps.sum()),
            'spread': spread,
            'lower': found['return'] - spread,
            'most_cost': found['worst_cost'] + float(beside.max()) * self._cost,
            # NaN is within nothing.
            'diverged': not abs(found['return']) + found['spread']
            <= self._far * float(steps.max()),
        }

    def _distance(self, table: Tensor) -> Tensor:
        """How far the nearest recorded row is from each of the rows, [M]."""
        parts = (torch.cdist(part, self._recorded).amin(dim=1) for part in table.split(CHUNK))
        return torch.cat(list(parts))
