# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a step is worth, where the bag has states and commands only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from loop_ros.layout import transition_layout
from loop_ros.sim.task import Task
from loop_ros.types import Array


class Step(NamedTuple):
    """A state, what was done in it, and the state that followed."""

    stamp: int  # ns
    step: int  # of the episode; one more than before where nothing is missing
    observation: Array  # [O]
    action: Array  # [A]
    next_observation: Array  # [O]


def check(task: Task) -> None:
    """ValueError for a task by which no step can be judged."""
    if task.reward is None:
        raise ValueError(
            f"the bag has no transition topic and task '{task.name}' no reward function to "
            'rebuild transitions by'
        )


def judged(steps: Sequence[Step], task: Task) -> Array:
    """Steps with the task's reward, cost and end, as a table of transitions [n, D]."""
    layout = transition_layout(task)
    table = np.zeros((len(steps), layout.dim))
    if not steps:
        return table
    rows = layout.named(table)
    for name, column in zip(Step._fields, zip(*steps, strict=True), strict=True):
        rows[name] = column
    rows['stamp'] /= 1e9
    before, action, after = (torch.from_numpy(np.array(rows[name])) for name in Step._fields[2:])
    rows['reward'], rows['cost'], rows['terminated'] = task.judge(before, action, after)
    return table
