# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a robot was, and where its plans lead, seen from above."""

from __future__ import annotations

import numpy as np
import torch

from loop_ros.sim.task import Task
from loop_ros.types import Array


def positions(task: Task, observations: Array) -> Array:
    """Where observations [T, O] are, [T, 2] in m; [0, 2] for a task that draws nothing."""
    if task.path is None or not len(observations):
        return np.empty((0, 2))
    states = task.encode(torch.from_numpy(observations)).numpy()
    pairs = zip(observations, states, strict=True)
    return np.array([task.path(observed, state[None])[0, :2] for observed, state in pairs])


def planned_path(task: Task, observation: Array, states: Array) -> Array:
    """Where a plan's states [H+1, S] lead from an observation, [H+1, 2] in m."""
    assert task.path is not None
    return task.path(observation, states)[:, :2]
