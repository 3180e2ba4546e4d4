# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rear-wheel-drive dynamic bicycle with brush tires, after E. Ahn, CMU-RI-TR-19-56.

One set of equations serves a single car (plain floats, fast) and a batch of cars (numpy arrays).
Slip is written so that nothing is divided by a speed that may be zero: with |K| = |w - v| / |v|,
the combined slip terms K/(1+|K|) and tan(alpha)/(1+|K|) are (w - v)/D and v_lateral/D, where
D = |v| + |w - v|. D is kept above SLIP_SPEED_FLOOR, which changes the tires only at standstill.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SLIP_SPEED_FLOOR = 0.15  # m/s; below it locked wheels would be too stiff for RK4
SUBSTEPS = 5  # RK4 steps per control period of 35 ms


@dataclass(frozen=True)
class CarParameters:
    """An RC car (SI units)."""

    mass: float = 2.645
    front_length: float = 0.137  # centre of gravity to front axle
    rear_length: float = 0.120
    front_load: float = 12.1  # N
    rear_load: float = 13.8178
    longitudinal_stiffness: float = 103.94  # N
    cornering_stiffness: float = 56.4  # N/rad
    yaw_inertia: float = 0.0558
    static_friction: float = 1.37
    kinetic_friction: float = 1.96
    velocity_damping: float = 0.025  # 1/s
    yaw_damping: float = 0.02  # 1/s

    def scaled(self, friction: float, mass: float) -> Self:
        """The car on other ground, and with a load that is spread like its own weight.

        Tires keep their stiffness; the axles carry more, so that grip grows with the mass.
        """
        return replace(
            self,
            mass=mass * self.mass,
            yaw_inertia=mass * self.yaw_inertia,
            front_load=mass * self.front_load,
            rear_load=mass * self.rear_load,
            static_friction=friction * self.static_friction,
            kinetic_friction=friction * self.kinetic_friction,
        )


class _Floats:
    """The few functions the equations need, for plain floats (numpy has them for arrays)."""

    sin, cos, hypot = math.sin, math.cos, math.hypot
    abs, maximum = abs, max

    @staticmethod
    def where(condition: bool, yes: float, no: float) -> float:
        return yes if condition else no


def _tire_gain(slip_force: Any, sliding_slip: float, sliding_force: float, ops: Any) -> Any:
    """Brush tire: the force divided by the force that a tire without sliding would give.

    `slip_force` [N] is stiffness times slip, >= 0; from `sliding_slip` on the whole contact
    patch slides and the force is `sliding_force`.
    """
    share = slip_force / sliding_slip
    return ops.where(
        share <= 1.0,
        1.0 - share + share * share / 3.0,
        sliding_force / ops.maximum(slip_force, sliding_slip),
    )


def held(action: Any, ops: Any) -> tuple[Any, Any, Any]:
    """Wheel speed, and cosine and sine of the steering: what an action fixes for a period."""
    wheel_speed, steering = action
    return wheel_speed, ops.cos(steering), ops.sin(steering)


def tire_forces(
    v_x: Any, v_y: Any, yaw_rate: Any, wheels: tuple[Any, Any, Any], car: CarParameters, ops: Any
) -> tuple[Any, Any, Any]:
    """Front lateral force in the wheel's frame, rear longitudinal and lateral force [N].

    `wheels` is `held(action)`.
    """
    wheel_speed, cos, sin = wheels
    front_v_y = v_y + car.front_length * yaw_rate
    rolling = ops.maximum(ops.abs(v_x * cos + front_v_y * sin), SLIP_SPEED_FLOOR)
    front_slip = car.cornering_stiffness * (front_v_y * cos - v_x * sin) / rolling
    grip = car.static_friction * car.front_load
    front_lateral = -front_slip * _tire_gain(ops.abs(front_slip), 3.0 * grip, grip, ops)

    spin = wheel_speed - v_x
    reference = ops.maximum(ops.abs(v_x) + ops.abs(spin), SLIP_SPEED_FLOOR)
    drive_slip = car.longitudinal_stiffness * spin / reference
    side_slip = car.cornering_stiffness * (v_y - car.rear_length * yaw_rate) / reference
    gain = _tire_gain(
        ops.hypot(drive_slip, side_slip),
        3.0 * car.static_friction * car.rear_load,
        car.kinetic_friction * car.rear_load,
        ops,
    )
    return front_lateral, drive_slip * gain, -side_slip * gain


def derivative(state: Any, wheels: tuple[Any, Any, Any], car: CarParameters, ops: Any) -> Any:
    """Time derivative of (x, y, yaw, v_x, v_y, yaw_rate), a tuple of like shape.

    `wheels` is `held(action)`.
    """
    _, _, yaw, v_x, v_y, yaw_rate = state
    front, rear_x, rear_y = tire_forces(v_x, v_y, yaw_rate, wheels, car, ops)
    _, cos, sin = wheels
    heading_cos, heading_sin = ops.cos(yaw), ops.sin(yaw)
    torque = car.front_length * front * cos - car.rear_length * rear_y
    return (
        v_x * heading_cos - v_y * heading_sin,
        v_x * heading_sin + v_y * heading_cos,
        yaw_rate,
        (rear_x - front * sin) / car.mass + yaw_rate * v_y - car.velocity_damping * v_x,
        (rear_y + front * cos) / car.mass - yaw_rate * v_x - car.velocity_damping * v_y,
        torque / car.yaw_inertia - car.yaw_damping * yaw_rate,
    )


def _runge_kutta(state: Any, wheels: Any, h: float, car: CarParameters, ops: Any) -> Any:
    """One classical fourth-order step of `h` seconds."""

    def ahead(share: float, slope: Any) -> Any:
        return [s + share * h * k for s, k in zip(state, slope, strict=True)]

    k1 = derivative(state, wheels, car, ops)
    k2 = derivative(ahead(0.5, k1), wheels, car, ops)
    k3 = derivative(ahead(0.5, k2), wheels, car, ops)
    k4 = derivative(ahead(1.0, k3), wheels, car, ops)
    return [
        s + h / 6.0 * (a + 2.0 * b + 2.0 * c + d)
        for s, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True)
    ]


def step(
    state: NDArray[np.float64],
    action: NDArray[np.float64],
    period: float,
    car: CarParameters,
    substeps: int = SUBSTEPS,
) -> NDArray[np.float64]:
    """Advance cars [..., 6] by `period` s under held wheel speeds and steerings [..., 2]."""
    single = state.ndim == 1
    ops: Any = _Floats if single else np
    parts = state.tolist() if single else [state[..., i] for i in range(6)]
    wheels = held(action.tolist() if single else (action[..., 0], action[..., 1]), ops)
    for _ in range(substeps):
        parts = _runge_kutta(parts, wheels, period / substeps, car, ops)
    return np.array(parts) if single else np.stack(parts, axis=-1)
