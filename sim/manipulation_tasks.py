# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's manipulation tasks: a hand that turns a pen and a claw that turns a valve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium

from loop_ros.sim import claw, pen_goal
from loop_ros.sim.task import Task

TASKS: dict[str, tuple[Task, Callable[..., gymnasium.Env[Any, Any]]]] = {
    pen_goal.TASK.name: (pen_goal.TASK, pen_goal.PenGoal),
    claw.TASK.name: (claw.TASK, claw.Claw),
}
