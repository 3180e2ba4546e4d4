# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planar part of an odometry: the order of its fields, quaternion to yaw and back."""

from __future__ import annotations

import math

import numpy as np

from loop_ros.types import Array

FIELDS = ('x', 'y', 'yaw', 'v_x', 'v_y', 'yaw_rate')  # m, rad, m/s, rad/s
QUATERNION_TOLERANCE = 1e-3  # of the norm of an orientation, which is 1


def quaternion_from_yaw(yaw: float) -> tuple[float, float]:
    """The components z and w of a turn by `yaw` rad about the vertical; x and y are 0."""
    return math.sin(yaw / 2), math.cos(yaw / 2)


def yaw_from_quaternion(quaternions: Array) -> Array:
    """Yaw [n] in rad of quaternions [n, 4] (x, y, z, w); NaN where the norm is not 1."""
    x, y, z, w = quaternions.T
    with np.errstate(invalid='ignore', over='ignore'):
        flat = 2 * np.arctan2(z, w)  # what `quaternion_from_yaw` gives comes back exactly
        yaw = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y**2 + z**2))
        norm = np.sqrt(x**2 + y**2 + z**2 + w**2)
    yaw = np.where((x == 0) & (y == 0), flat, yaw)
    return np.where(np.abs(norm - 1) <= QUATERNION_TOLERANCE, yaw, np.nan)
