# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner for a device."""

from __future__ import annotations

import torch

from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout


def make_planner(rollout: Rollout, generator: torch.Generator) -> Planner:
    """The planner for the rollout's device; it plans in the thread that makes it."""
    if rollout.device.type != 'cuda':
        return Planner(rollout, generator)
    from loop_ros.planning.graph import GraphedPlanner  # brings a compiler with it

    torch.cuda.set_device(rollout.device)  # graphs and kernels go to the present one
    return GraphedPlanner(rollout, generator)
