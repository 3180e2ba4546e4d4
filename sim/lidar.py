# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a lidar sees, in a form that a model can predict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.drawing import Circle
from loop_ros.types import Array

NEAREST = 0.05  # m; ranges below it count as it
SOFTNESS = 0.1  # m by which a sector must be nearer than others to be the nearest


@dataclass(frozen=True)
class Lidar:
    """The least range in each of N equal sectors, as `sectors` of a robot file has it.

    Angles are in rad, x forward, counter-clockwise.
    """

    sectors: int
    start: float = -math.pi
    end: float = math.pi
    farthest: float = 3.0  # m that a sector can say
    reach: float = 0.7  # m; what is so far away counts 1/e of what touches

    NUM_FEATURES = 8

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the observation, [N]."""
        return tuple(f'beam_{i}' for i in range(self.sectors))

    @property
    def angles(self) -> Tensor:
        """Of the sectors' middles, [N]."""
        span = (self.end - self.start) / self.sectors
        return (torch.arange(self.sectors, dtype=torch.float64) + 0.5) * span + self.start

    def features(self, ranges: Tensor) -> Tensor:
        """How near all is, where the nearest is, and how near; ranges [..., N] (m) -> [..., 8].

        First the mean nearness and its first two harmonics over the angle, which turn evenly as the
        robot turns: a single sector jumps where a thing enters it, which no model can learn. Then
        the direction of what is nearest, and the logarithm of the least range, for close to a
        thing a model has to see more exactly than far away.
        """
        ranges = ranges.clamp(NEAREST, self.farthest)
        angles = self.angles.to(ranges)
        nearness = torch.exp(-ranges / self.reach)
        waves = torch.stack([f(k * angles) for k in (1, 2) for f in (torch.cos, torch.sin)], dim=-1)
        mean = nearness.mean(dim=-1, keepdim=True)
        harmonics = nearness @ waves / self.sectors
        direction = torch.softmax(-ranges / SOFTNESS, dim=-1) @ waves[:, :2]
        closest = ranges.amin(dim=-1, keepdim=True).log()
        return torch.cat((mean, harmonics, direction, closest), dim=-1)

    @staticmethod
    def is_within(features: Tensor, distance: float) -> Tensor:
        """Whether something is nearer than a distance (m); features [..., 8] -> bool [...]."""
        return features[..., -1] < math.log(distance)

    def circles(self, ranges: Array, limit: float) -> tuple[Circle, ...]:
        """For a drawing: what is seen, ranges [N], red where it is nearer than `limit` (m)."""
        angles = self.angles.numpy()
        return tuple(
            Circle(0.05, x, y, limit=near)
            for x, y, near, seen in zip(
                (ranges * np.cos(angles)).tolist(),
                (ranges * np.sin(angles)).tolist(),
                (ranges < limit).tolist(),
                (ranges < self.farthest).tolist(),
                strict=True,
            )
            if seen
        )
