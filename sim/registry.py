# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every task by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium

from loop_ros.sim import drift_car, manipulation_tasks, mujoco_tasks, safety_gym_tasks
from loop_ros.sim.task import Task

Entry = tuple[Task, Callable[..., gymnasium.Env[Any, Any]]]

_TASKS: dict[str, Entry] = {
    'drift_car': (drift_car.TASK, drift_car.DriftCar),
    **mujoco_tasks.TASKS,
    **manipulation_tasks.TASKS,
    **safety_gym_tasks.TASKS,
}


def names() -> list[str]:
    """Names that `make` and `task` accept."""
    return sorted(_TASKS)


def task(name: str) -> Task:
    """The interface and objective of a task; ValueError for an unknown name."""
    if name not in _TASKS:
        raise ValueError(f"unknown task '{name}'; choose one of: {', '.join(names())}")
    return _TASKS[name][0]


def make(name: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """A new environment of a task; keyword arguments go to its constructor.

    ValueError for an unknown name, ImportError where the task's simulator is not installed.
    """
    task(name)
    return _TASKS[name][1](**kwargs)
