# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the hand of the Franka arm is, from its joints."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The frame of each joint in that of the one before: position (m), roll about x and then yaw about z
# (rad). Those of the model, whose joint 6 begins 90 degrees from where the maker's does.
FRAMES = (
    ((0.0, 0.0, 0.333), 0.0, 0.0),
    ((0.0, 0.0, 0.0), -math.pi / 2, 0.0),
    ((0.0, -0.316, 0.0), math.pi / 2, 0.0),
    ((0.0825, 0.0, 0.0), math.pi / 2, 0.0),
    ((-0.0825, 0.384, 0.0), -math.pi / 2, 0.0),
    ((0.0, 0.0, 0.0), 1.57, 1.57),
    ((0.088, 0.0, 0.0), 1.57, 0.7854),
)
HAND = (0.0, 0.0, 0.21)  # m from joint 7, between the fingers


def hand(joints: Tensor) -> Tensor:
    """Position in the frame of the base; [..., 7] -> [..., 3], rad and m."""
    point = joints.new_tensor(HAND).expand(*joints.shape[:-1], 3)
    for (position, roll, yaw), angle in zip(
        reversed(FRAMES), joints.flip(-1).unbind(-1), strict=True
    ):
        x, y, z = point.unbind(-1)
        cosine, sine = torch.cos(angle + yaw), torch.sin(angle + yaw)
        x, y = cosine * x - sine * y, sine * x + cosine * y
        y, z = math.cos(roll) * y - math.sin(roll) * z, math.sin(roll) * y + math.cos(roll) * z
        point = torch.stack((x, y, z), dim=-1) + joints.new_tensor(position)
    return point
