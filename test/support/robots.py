# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of simulated robots share."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from loop_ros.sim.task import Task

Array = NDArray[np.float64]


def assert_gymnasium(env: Any) -> None:
    """Check an environment by gymnasium's own checker, whose warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        # Positions and speeds have no bound that a checker would like.
        warnings.filterwarnings('ignore', message='.*Box observation space m[a-z]+imum value.*')
        # The limits are the robot's: the agent scales them to [-1, 1], not the environment.
        warnings.filterwarnings('ignore', message='.*we recommend using a symmetric.*')
        check_env(env, skip_render_check=True)


def random_actions(task: Task, steps: int, seed: int = 0) -> Array:
    """Draw actions within the task's limits: [steps, actions]."""
    size = (steps, len(task.action_labels))
    return np.random.default_rng(seed).uniform(task.action_low, task.action_high, size)


def drive(env: Any, actions: Array, seed: int) -> list[tuple[Array, float, bool, bool]]:
    """Return observation, reward and flags of each step, until the episode ends."""
    steps = [(env.reset(seed=seed)[0], 0.0, False, False)]
    for action in actions:
        steps.append(env.step(action)[:4])
        if steps[-1][2] or steps[-1][3]:
            break
    return steps
