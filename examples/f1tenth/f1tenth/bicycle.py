# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A kinematic bicycle whose delays, gains and wheelbase are fitted to recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from f1tenth.task import CONTROL_PERIOD
from loop_ros.offline.prediction import Recorded

DELAYS = torch.arange(0, 4.01, 0.25)  # control periods that were tried


@dataclass(frozen=True)
class Bicycle:
    """v' = v + a (g V + b - v) and r' = r + s (v' (tan(d) + o) / L - r).

    V and d are speed and steering as commanded some time before, v the speed and r the yaw rate. A
    plain bicycle has s = 1; what the servo and the tyres add is left to s.
    """

    speed_delay: float  # control periods
    steering_delay: float
    speed: Tensor  # [3], weights of V, v and 1
    rate: Tensor  # [3], weights of v' tan(d), v' and r

    @classmethod
    def fit(cls, recorded: Recorded) -> Self:
        """By least squares over single steps, for each delay; the best delays are taken."""
        batch = recorded.data.batch
        rows = torch.arange(len(batch.reward))
        v, r = batch.state[:, 0], batch.state[:, 1]
        after, turned = batch.next_state[:, 0], batch.next_state[:, 1]

        def speed(delay: float) -> tuple[float, Tensor]:
            command = delayed(recorded, rows, delay)[:, 0]
            return _least_squares((command, v, torch.ones_like(v)), after)

        def rate(delay: float) -> tuple[float, Tensor]:
            steering = delayed(recorded, rows, delay)[:, 1]
            return _least_squares((after * steering.tan(), after, r), turned)

        delays = DELAYS.tolist()
        first = min(delays, key=lambda delay: speed(delay)[0])
        second = min(delays, key=lambda delay: rate(delay)[0])
        return cls(first, second, speed(first)[1], rate(second)[1])

    def __call__(self, recorded: Recorded, rows: Tensor, steps: int) -> Iterator[Tensor]:
        """States [n, S] after each step."""
        v, r = recorded.data.batch.state[rows, 0], recorded.data.batch.state[rows, 1]
        for step in range(steps):
            command = delayed(recorded, rows + step, self.speed_delay)[:, 0]
            steering = delayed(recorded, rows + step, self.steering_delay)[:, 1]
            v = torch.stack((command, v, torch.ones_like(v)), dim=1) @ self.speed
            r = torch.stack((v * steering.tan(), v, r), dim=1) @ self.rate
            yield torch.cat((torch.stack((v, r), dim=1), actions(recorded, rows + step)), dim=1)

    def describe(self) -> str:
        """Its parameters, in words."""
        gain, kept, _ = self.speed.tolist()
        turn, _, rest = self.rate.tolist()
        return (
            f'speed: delay {self.speed_delay * CONTROL_PERIOD:.3f} s, gain {gain / (1 - kept):.2f},'
            f' share of the way in a step {1 - kept:.2f}; steering: delay '
            f'{self.steering_delay * CONTROL_PERIOD:.3f} s, wheelbase over gain '
            f'{(1 - rest) / turn:.3f} m, share of the way in a step {1 - rest:.2f}'
        )


def actions(recorded: Recorded, rows: Tensor) -> Tensor:
    """Recorded actions [n, 2], m/s and rad."""
    return torch.from_numpy(recorded.rows.action)[rows].float()


def delayed(recorded: Recorded, rows: Tensor, delay: float) -> Tensor:
    """Actions [n, 2] from `delay` periods before, those of the episode's first step before that."""
    data = recorded.data
    first = data.first_rows()[data.episode[rows]]
    whole, part = int(delay), delay % 1
    newer = actions(recorded, torch.maximum(rows - whole, first))
    older = actions(recorded, torch.maximum(rows - whole - 1, first))
    return (1 - part) * newer + part * older


def _least_squares(columns: tuple[Tensor, ...], wanted: Tensor) -> tuple[float, Tensor]:
    """The sum of squared residuals, and the weights [columns]."""
    inputs = torch.stack(columns, dim=1)
    weights = torch.linalg.lstsq(inputs, wanted[:, None]).solution[:, 0]
    return float((inputs @ weights - wanted).square().sum()), weights
