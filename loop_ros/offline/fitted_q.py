# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fitted Q evaluation: what a policy is worth, from transitions of another one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from loop_ros.models.normalizer import scale
from loop_ros.types import Batch

TOLERANCE = 1e-4  # of the last change of a value, in units of the largest possible one


class Value(NamedTuple):
    """Of states under a policy, by members that differ in features and in the data's weights."""

    mean: float  # over states and members
    spread: float  # standard deviation over members
    by_member: Tensor  # [E], mean over states


class FittedQ:
    """Regresses Q to r + gamma Q(s', pi(s')) until it stays, on random features of (s, a).

    Regression on features is a matter of linear algebra: no step size, and the same answer at each
    run. Members see the transitions under random weights (the Bayesian bootstrap), so that their
    spread says how much hangs on few of them. Targets stay within what the data's rewards can sum
    up to, so nothing diverges.
    """

    def __init__(
        self, batch: Batch, discount: float, members: int, features: int, seed: int
    ) -> None:
        """Transitions [M] to learn from; `features` is the number of random ones."""
        self.batch, self.discount = batch, discount
        generator = torch.Generator().manual_seed(seed)
        inputs = _inputs(batch.state, batch.action)
        self._mean, self._scale = inputs.mean(dim=0), scale(inputs)
        columns = inputs.shape[1]
        self._members = []
        for _ in range(members):
            normal = torch.randn(columns + 1, features, generator=generator, dtype=torch.float64)
            directions = normal / columns**0.5
            weight = -torch.rand(len(inputs), generator=generator, dtype=torch.float64).log()
            present = self._features(inputs, directions)
            weighted = (present * weight[:, None]).T
            # As small as rounding allows: more would pull values to 0.
            ridge = 1e-6 * len(inputs) * torch.eye(len(weighted), dtype=torch.float64)
            solve = torch.linalg.solve(weighted @ present + ridge, weighted)  # [D, M]
            self._members.append((directions, solve))
        reward = batch.reward.double().cpu()
        reach = 1.0 / (1.0 - min(discount, 0.9999))
        ends = bool(batch.terminated.any())
        self._low = min(float(reward.min()) * reach, float(reward.min()) if ends else torch.inf)
        self._high = max(float(reward.max()) * reach, float(reward.max()) if ends else -torch.inf)
        self._reward, self._follows = reward, discount * (1.0 - batch.terminated.double().cpu())

    def value(
        self, next_action: Tensor, state: Tensor, action: Tensor, iterations: int = 300
    ) -> Value:
        """What states [B, S] are worth under a policy.

        It does `next_action` [M, A] in the next states of the transitions and `action` [B, A] in
        the given states.
        """
        inputs_after = _inputs(self.batch.next_state, next_action)
        wanted = _inputs(state, action)
        values = []
        for directions, solve in self._members:
            following = self._features(inputs_after, directions)
            coefficients = self._fixed_point(following, solve, iterations)
            values.append((self._features(wanted, directions) @ coefficients).mean())
        by_member = torch.stack(values).clamp(self._low, self._high)
        spread = float(by_member.std(correction=0))
        return Value(float(by_member.mean()), spread, by_member)

    def _fixed_point(self, following: Tensor, solve: Tensor, iterations: int) -> Tensor:
        """The coefficients [D] that regression to their own target gives again.

        By solving for them; where that is beyond the bounds, by iteration within them.
        """
        repeated = solve @ (self._follows[:, None] * following)
        unit = torch.eye(len(repeated), dtype=repeated.dtype)
        coefficients, singular = torch.linalg.solve_ex(unit - repeated, solve @ self._reward)
        value = following @ coefficients
        within = (value >= self._low) & (value <= self._high) | (self._follows == 0)
        if not int(singular) and bool(within.all()):
            return coefficients
        value = value.nan_to_num(0.0).clamp(self._low, self._high)
        largest = max(abs(self._low), abs(self._high), 1e-12)
        for _ in range(iterations):
            before = value
            coefficients = solve @ (self._reward + self._follows * value)
            value = (following @ coefficients).clamp(self._low, self._high)
            if float((value - before).abs().max()) < TOLERANCE * largest:
                break
        return coefficients

    def _features(self, inputs: Tensor, directions: Tensor) -> Tensor:
        """Inputs [B, I] as features [B, D]: one, the inputs themselves, and random kinks."""
        scaled = (inputs - self._mean) / self._scale
        one = torch.ones(len(inputs), 1, dtype=torch.float64)
        kinks = torch.relu(torch.cat((scaled, one), dim=1) @ directions)
        return torch.cat((one, scaled, kinks), dim=1)


def _inputs(state: Tensor, action: Tensor) -> Tensor:
    return torch.cat((state, action), dim=-1).double().cpu()
