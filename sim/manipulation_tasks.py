# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's manipulation tasks: a hand that turns a pen and a claw that turns a valve."""

from __future__ import annotations

from loop_ros.sim import claw, pen_goal

TASKS = {task.name: task for task in (pen_goal.TASK, claw.TASK)}
