# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans and supervisors of the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from loop_ros.control.supervisor import Limits, Supervisor
from loop_ros.sim import registry
from loop_ros.types import Plan

CAR = registry.task('drift_car')
PERIOD, WALL = 35_000_000, 0.035  # ns, s
LOW, HIGH = np.array(CAR.action_low), np.array(CAR.action_high)
RATES = np.array([20.0, 3.0])  # m/s^2, rad/s


def limits(**changes: Any) -> Limits:
    kept: dict[str, Any] = {
        'period': PERIOD,
        'wall_period': WALL,
        'low': LOW,
        'high': HIGH,
        'safe': np.array(CAR.safe_command),
        'rates': np.zeros(2),
    }
    return Limits(**{**kept, **changes})


LIMITS = limits()


def supervisor(realtime: bool = True, **changes: Any) -> Supervisor:
    """One that no command has left so far."""
    return Supervisor(limits(**changes), realtime)


def make_plan(
    value: float,
    horizon: int = 3,
    d0: float = 0.2,
    actor: float = np.nan,
    worst_cost: float = 0.0,
    safe_fraction: float = 1.0,
    next_state: float = 0.0,
    next_std: float = 1.0,
    constrained: bool = True,
) -> Plan:
    """From a state of zeros; the actions are value, value + 1 ..., and 0, 0.1 ..."""
    sequence = np.array([[value + step, 0.1 * step] for step in range(horizon)])
    return Plan(
        action=sequence[0],
        sequence=sequence,
        constrained=constrained,
        predicted_return=0.0,
        worst_cost=worst_cost,
        safe_fraction=safe_fraction,
        d0=d0,
        actor_divergence=0.0,
        actor_share=0.0,
        disagreement=0.0,
        runner_up_return=0.0,
        runner_up_cost=0.0,
        runner_up=np.zeros(2),
        states=np.zeros((horizon + 1, 6)),
        plan_s=0.001,
        iterations=3,
        actor_action=np.array([actor, 0.0]),
        next_state=np.full(6, next_state),
        next_std=np.full(6, next_std),
    )


def driven(found: Supervisor, plans: list[Plan], first: int = 0) -> list[int]:
    """The levels of commands that answer one state a period, each with its plan in time."""
    levels = []
    for step, plan in enumerate(plans, start=first):
        found.receive(step * WALL)
        found.keep_plan(step * PERIOD, plan)
        levels.append(found.command(step * WALL, step * PERIOD).level)
    return levels
