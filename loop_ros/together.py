# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several robots that plan in the same models, in one pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from loop_ros.acting import Acting, Start
from loop_ros.planning.search import Solution, plan_together, thresholds
from loop_ros.types import Array, Plan


def act_together(
    robots: Sequence[Acting],
    observations: Sequence[Array],
    explore: bool = False,
    predict_next: bool = False,
) -> list[Plan]:
    """The plan of each of B robots from its own of the observations [B, O]; see `Acting.act`.

    The robots have models of equal weights and planner settings that differ in d0 alone, else
    ValueError.
    """
    starts = [
        robot.begin(observation, explore)
        for robot, observation in zip(robots, observations, strict=True)
    ]
    planning = [number for number, start in enumerate(starts) if start.plans]
    solved = _solve([robots[i] for i in planning], [starts[i] for i in planning])
    solutions = dict(zip(planning, solved, strict=True))
    return [
        robot.finish(start, solutions.get(number), predict_next)
        for number, (robot, start) in enumerate(zip(robots, starts, strict=True))
    ]


def _solve(robots: Sequence[Acting], starts: Sequence[Start]) -> list[Solution]:
    if not robots:
        return []
    settings = [robot.settings.planner for robot in robots]
    if any(dataclasses.replace(each, d0=settings[0].d0) != settings[0] for each in settings):
        raise ValueError('robots that plan together differ in settings of the planner beside d0')
    states = torch.stack([start.state for start in starts])
    d0 = thresholds(settings, states.device)
    return plan_together([robot.planner for robot in robots], states, settings[0], d0=d0)
