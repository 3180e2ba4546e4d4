# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planar part of an odometry: the order of its fields, quaternion to yaw and back."""

from __future__ import annotations

import math

import numpy as np

from loop_ros.types import Array, Flags

Number = Array | float
FIELDS = ('x', 'y', 'yaw', 'v_x', 'v_y', 'yaw_rate')  # m, rad, m/s, rad/s
QUATERNION_TOLERANCE = 0.02  # of the norm of an orientation, which is 1; as of two decimals


def quaternion_from_yaw(yaw: float) -> tuple[float, float]:
    """The components z and w of a turn by `yaw` rad about the vertical; x and y are 0."""
    return math.sin(yaw / 2), math.cos(yaw / 2)


def yaw_from_quaternion(x: Number, y: Number, z: Number, w: Number) -> Array:
    """Yaw in rad of one quaternion, or of many as arrays [n] each.

    It is normalised first, and NaN where its norm is farther from 1 than rounding explains.
    """
    with np.errstate(invalid='ignore', over='ignore'):
        flat = 2 * np.arctan2(z, w)  # what `quaternion_from_yaw` gives comes back exactly
        yaw = np.arctan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)
        norm = np.sqrt(x * x + y * y + z * z + w * w)
    return np.where(is_turn(norm), np.where((x == 0) & (y == 0), flat, yaw), np.nan)


def is_turn(norm: Number) -> Flags:
    """Whether a quaternion of this norm is an orientation."""
    return np.asarray(np.abs(norm - 1) <= QUATERNION_TOLERANCE)
