# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a robot was, and where its plans lead, seen from above."""

from __future__ import annotations

import numpy as np

from loop_ros.sim.task import Task
from loop_ros.types import Array


def positions(task: Task, observations: Array) -> Array:
    """Where observations [T, O] are, [T, 2] in m; [0, 2] for a task that draws nothing."""
    if task.path is None or not len(observations):
        return np.empty((0, 2))
    return np.array([task.drawn_pose(observed)[:2] for observed in observations])


def planned_path(task: Task, observation: Array, states: Array) -> Array:
    """Where a plan's states [H+1, S] lead from an observation, [H+1, 2] in m."""
    assert task.path is not None
    return task.path(observation, states)[:, :2]
