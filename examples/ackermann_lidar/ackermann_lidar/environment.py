# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same simulator without ROS, for `loop-ros experiment`."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import torch

from ackermann_lidar import task
from ackermann_lidar.world import STEP, World

REPEAT = round(task.PERIOD / STEP)


class Environment(gymnasium.Env):
    """Sets new goals for a robot that drives on from where it is; a seed places it elsewhere."""

    def __init__(self) -> None:
        self.world = World()
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(task.LABELS),), float)
        limits = np.array(task.TASK.action_low), np.array(task.TASK.action_high)
        self.action_space = gymnasium.spaces.Box(*limits, dtype=float)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Set a new goal."""
        super().reset(seed=seed)
        if seed is not None:
            self.world.random = np.random.default_rng(seed)
            self.world.place()
        self.world.reset()
        self.steps = 0
        self.observation = self._observe()
        return self.observation, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Hold a command for one control period."""
        for _ in range(REPEAT):
            self.world.step(*action)
        before, self.observation = self.observation, self._observe()
        self.steps += 1
        then, now = torch.from_numpy(before), torch.from_numpy(self.observation)
        state = task.encode(now)
        return (
            self.observation,
            float(task.reward(then, torch.as_tensor(action), now)),
            bool(task.termination(state)),
            self.steps >= task.STEPS,
            {'cost': float(task.cost(state))},
        )

    def _observe(self) -> np.ndarray:
        """What the robot file makes of the messages."""
        x, y, yaw = self.world.pose
        away = complex(*(self.world.goal - (x, y))) * complex(math.cos(yaw), -math.sin(yaw))
        ranges = np.minimum(self.world.scan()['ranges'], task.LIDAR.farthest)
        sectors = ranges.reshape(task.LIDAR.sectors, -1).min(axis=1)
        return np.array([*self.world.velocity, away.real, away.imag, *sectors])
