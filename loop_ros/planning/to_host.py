# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A plan leaves the device."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from loop_ros.planning.planner import Solution
from loop_ros.sim.task import Task
from loop_ros.types import Plan


def to_host(
    solution: Solution,
    executed: Tensor,
    acted: Tensor,
    foretold: Tensor,
    task: Task,
    d0: float,
    start: float,
) -> Plan:
    """In one copy, the only wait for the device of a plan that began at `start` (perf_counter, s).

    `executed` and the actor's `acted` are normalised actions [A]; `foretold` [2, S] is where the
    executed one leads, and how surely.
    """
    other = solution.runner_up
    figures = {
        'predicted_return': solution.predicted_return,
        'worst_cost': solution.worst_cost,
        'safe_fraction': solution.safe_fraction,
        'actor_divergence': (executed - acted).norm(),
        'actor_share': solution.actor_share,
        'disagreement': solution.disagreement,
        'runner_up_return': other.predicted_return,
        'runner_up_cost': other.worst_cost,
    }
    actions = torch.cat((torch.stack((acted, other.action, executed)), solution.sequence[1:]))
    states = torch.cat((solution.states, foretold))
    parts = torch.stack(tuple(figures.values())), actions.flatten(), states.flatten()
    numbers, *rows = torch.cat(parts).cpu().double().split([len(part) for part in parts])
    physical = task.denormalize_action(rows[0].view(actions.shape).numpy())
    reached = rows[1].view(states.shape).numpy()
    named: dict[str, Any] = dict(zip(figures, numbers.tolist(), strict=True))
    return Plan(
        action=physical[2],
        sequence=physical[2:],
        actor_action=physical[0],
        runner_up=physical[1],
        states=reached[:-2],
        next_state=reached[-2],
        next_std=reached[-1],
        d0=d0,
        iterations=solution.iterations,
        plan_s=time.perf_counter() - start,
        **named,
    )
