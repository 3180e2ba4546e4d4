# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The car's equations against physics and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve

from loop_ros.sim import bicycle

Array = NDArray[np.float64]
CAR = bicycle.CarParameters()
PERIOD = 0.035  # s
STEERING = math.pi / 6  # rad, the limit
VELOCITY_LIMIT = 10.0  # m/s, the wheel's; nothing drives the car faster


def random_cars(num: int, seed: int = 0) -> tuple[Array, Array]:
    """States and actions all over what the car can reach."""
    rng = np.random.default_rng(seed)
    low = np.array([-1.5, -1.5, -np.pi, -3.0, -3.0, -8.0])
    high = np.array([1.5, 1.5, np.pi, 6.0, 3.0, 8.0])
    return rng.uniform(low, high, (num, 6)), rng.uniform((0, -STEERING), (10, STEERING), (num, 2))


def drive(state: Array, action: Array, periods: int) -> Array:
    """States [periods + 1, ...] under a held action."""
    states = [state]
    for _ in range(periods):
        states.append(bicycle.step(states[-1], action, PERIOD, CAR))
    return np.array(states)


def energy(state: Array) -> Array:
    """Kinetic energy, J."""
    speed_squared = state[..., 3] ** 2 + state[..., 4] ** 2
    return 0.5 * CAR.mass * speed_squared + 0.5 * CAR.yaw_inertia * state[..., 5] ** 2


def derivative(state: Array, action: Array) -> Array:
    return np.array(bicycle.derivative(state, bicycle.held(action, np), CAR, np))


def test_step_error_against_scipy() -> None:
    """Against RK45 at 1e-9. The largest errors sit where the sliding rear tire's force jumps."""
    states, actions = random_cars(150)
    ours = bicycle.step(states, actions, PERIOD, CAR)
    errors = []
    for state, action, reached in zip(states, actions, ours, strict=True):
        exact = solve_ivp(
            lambda _, y, action=action: derivative(y, action),
            (0, PERIOD), state, rtol=1e-9, atol=1e-9,
        )  # fmt: skip
        errors.append(np.abs(exact.y[:, -1] - reached).max())
    # Measured over 1,500 random states: median 1.5e-7, 90% 1.8e-5, 99% 0.012, largest 0.05.
    assert np.median(errors) < 1e-6
    assert np.quantile(errors, 0.9) < 1e-4
    assert max(errors) < 0.1


def test_the_method_is_of_fourth_order() -> None:
    """Where forces are smooth, half the step means a sixteenth of the error."""
    state, action = np.array([1.0, 0, 1.57, 2.0, -0.1, 1.5]), np.array([2.2, 0.15])
    exact = bicycle.step(state, action, PERIOD, CAR, substeps=200)
    coarse, fine = (
        np.abs(bicycle.step(state, action, PERIOD, CAR, substeps=n) - exact).max() for n in (4, 8)
    )
    assert 10 < coarse / fine < 25


def test_a_batch_equals_single_cars() -> None:
    states, actions = random_cars(500)
    together = bicycle.step(states, actions, PERIOD, CAR)
    alone = np.array(
        [bicycle.step(s, a, PERIOD, CAR) for s, a in zip(states, actions, strict=True)]
    )
    np.testing.assert_allclose(together, alone, rtol=1e-12, atol=1e-12)
    grid = bicycle.step(states.reshape(5, 100, 6), actions.reshape(5, 100, 2), PERIOD, CAR)
    np.testing.assert_array_equal(grid.reshape(500, 6), together)


def test_energy_never_grows_without_throttle() -> None:
    """Locked wheels only brake, whatever the steering: down to standstill, and there it stays."""
    states, actions = random_cars(2000)
    actions[:, 0] = 0.0
    energies = energy(np.array(drive(states, actions, 80)))
    assert np.diff(energies, axis=0).max() <= 1e-9
    assert energies[-1].max() < 1e-6


def test_a_parked_car_stays_parked() -> None:
    states = drive(np.array([0.3, -0.2, 1.0, 0, 0, 0]), np.array([0.0, 0.4]), 100)
    np.testing.assert_array_equal(states, np.broadcast_to(states[0], states.shape))


def test_a_standing_car_pulls_away() -> None:
    states = drive(np.zeros(6), np.array([3.0, 0.0]), 60)
    assert (np.diff(states[:, 0]) > 0).all()
    assert states[-1, 3] == pytest.approx(3.0, abs=0.1)
    assert np.abs(states[:, [1, 2, 4, 5]]).max() == 0.0, 'straight ahead'


def test_left_and_right_are_mirror_images() -> None:
    states, actions = random_cars(300)
    mirror = np.array([1, -1, -1, 1, -1, -1])
    left = drive(states, actions, 20)[-1]
    right = drive(states * mirror, actions * (1, -1), 20)[-1]
    np.testing.assert_allclose(right, left * mirror, rtol=1e-9, atol=1e-9)


def test_where_the_car_is_and_faces_changes_nothing() -> None:
    """Moved and turned starts give moved and turned paths."""
    states, actions = random_cars(100)
    states[:, :3] = 0.0
    angle = 0.7
    turned = states.copy()
    turned[:, :3] = (5.0, -3.0, angle)
    here, there = drive(states, actions, 10)[-1], drive(turned, actions, 10)[-1]
    cos, sin = math.cos(angle), math.sin(angle)
    np.testing.assert_allclose(there[:, 0], 5.0 + cos * here[:, 0] - sin * here[:, 1], atol=1e-9)
    np.testing.assert_allclose(there[:, 1], -3.0 + sin * here[:, 0] + cos * here[:, 1], atol=1e-9)
    np.testing.assert_allclose(there[:, 2:], here[:, 2:] + (angle, 0, 0, 0), atol=1e-9)


def test_straight_line_drag() -> None:
    """At the wheels' own speed only the drag acts; then the tires' push balances it."""
    state = np.array([0, 0, 0, 2.0, 0, 0])
    rolling = bicycle.derivative(state, bicycle.held((2.0, 0.0), np), CAR, np)
    assert rolling[3] == pytest.approx(-CAR.velocity_damping * 2.0, rel=1e-12)
    settled = drive(state, np.array([2.0, 0.0]), 300)[-1]
    _, push, _ = bicycle.tire_forces(settled[3], 0.0, 0.0, bicycle.held((2.0, 0.0), np), CAR, np)
    assert push == pytest.approx(CAR.mass * CAR.velocity_damping * settled[3], rel=1e-6)
    assert 1.99 < settled[3] < 2.0


def test_yaw_damping_of_a_spinning_car_without_tires() -> None:
    slick = bicycle.CarParameters(longitudinal_stiffness=0.0, cornering_stiffness=1e-12)
    state = np.array([0, 0, 0, 0, 0, 5.0])
    for _ in range(100):
        state = bicycle.step(state, np.zeros(2), PERIOD, slick)
    assert state[5] == pytest.approx(5.0 * math.exp(-slick.yaw_damping * 3.5), rel=1e-6)


def steady_corner(speed: float, steering: float) -> tuple[Array, float]:
    """Body velocities of steady cornering at a forward speed, and the wheel speed it needs.

    The force balance is written out here by itself, for tires that do not slide wholly.
    """

    def brush(stiff_slip: float, sliding: float) -> float:
        return stiff_slip * (1 - stiff_slip / sliding + stiff_slip**2 / (3 * sliding**2))

    def balance(unknown: Array) -> list[float]:
        v_y, yaw_rate, wheel_speed = unknown
        cos, sin = math.cos(steering), math.sin(steering)
        front_v_y = v_y + CAR.front_length * yaw_rate
        slip_angle = math.atan2(front_v_y, speed) - steering
        tangent = math.tan(slip_angle)
        front_limit = 3 * CAR.static_friction * CAR.front_load
        front = -math.copysign(brush(CAR.cornering_stiffness * abs(tangent), front_limit), tangent)
        rear_v_y = v_y - CAR.rear_length * yaw_rate
        slip = (wheel_speed - speed) / speed  # K; driving, so the wheel is faster
        drive_part = CAR.longitudinal_stiffness * slip / (1 + slip)
        side_part = CAR.cornering_stiffness * (rear_v_y / speed) / (1 + slip)
        combined = math.hypot(drive_part, side_part)
        share = brush(combined, 3 * CAR.static_friction * CAR.rear_load) / combined
        rear_x, rear_y = share * drive_part, -share * side_part
        return [
            (rear_x - front * sin) / CAR.mass + yaw_rate * v_y - CAR.velocity_damping * speed,
            (rear_y + front * cos) / CAR.mass - yaw_rate * speed - CAR.velocity_damping * v_y,
            (CAR.front_length * front * cos - CAR.rear_length * rear_y) / CAR.yaw_inertia
            - CAR.yaw_damping * yaw_rate,
        ]

    wheelbase = CAR.front_length + CAR.rear_length
    guess = [0.0, speed * math.tan(steering) / wheelbase, speed * 1.05]
    (v_y, yaw_rate, wheel_speed), _, status, message = fsolve(
        balance, guess, full_output=True, xtol=1e-13
    )
    assert status == 1, message
    return np.array([speed, v_y, yaw_rate]), wheel_speed


@pytest.mark.parametrize(
    ('speed', 'steering'), [(1.0, 0.2), (1.5, 0.25), (2.0, -0.15), (2.5, 0.12)]
)
def test_steady_cornering_is_the_algebraic_solution(speed: float, steering: float) -> None:
    velocities, wheel_speed = steady_corner(speed, steering)
    state = np.array([0, 0, 0, *velocities])
    states = drive(state, np.array([wheel_speed, steering]), 200)
    np.testing.assert_allclose(states[-1, 3:], velocities, rtol=1e-6, atol=1e-7)
    # It drives the circle that speed and yaw rate make: back at the start after one turn.
    turn = 2 * math.pi / abs(velocities[2])
    round_trip = state
    for _ in range(100):
        round_trip = bicycle.step(round_trip, np.array([wheel_speed, steering]), turn / 100, CAR)
    np.testing.assert_allclose(round_trip[:2], 0.0, atol=1e-4)


def test_tires_stay_inside_their_friction() -> None:
    """Rear: at most mu_s load while it grips, mu_k load once it slides. Front: mu_s load."""
    states, actions = random_cars(20_000)
    v_x, v_y, yaw_rate = states[:, 3], states[:, 4], states[:, 5]
    wheel, steering = actions[:, 0], actions[:, 1]
    front, rear_x, rear_y = bicycle.tire_forces(
        v_x, v_y, yaw_rate, bicycle.held((wheel, steering), np), CAR, np
    )
    assert np.abs(front).max() <= CAR.static_friction * CAR.front_load * (1 + 1e-12)
    spin = wheel - v_x
    reference = np.abs(v_x) + np.abs(spin)
    side = v_y - CAR.rear_length * yaw_rate
    slip_force = np.hypot(CAR.longitudinal_stiffness * spin, CAR.cornering_stiffness * side)
    slides = slip_force / reference > 3 * CAR.static_friction * CAR.rear_load
    rear = np.hypot(rear_x, rear_y)
    assert 0.1 < slides.mean() < 0.9, 'both regimes must be met'
    assert rear[~slides].max() <= CAR.static_friction * CAR.rear_load * (1 + 1e-12)
    np.testing.assert_allclose(rear[slides], CAR.kinetic_friction * CAR.rear_load, rtol=1e-9)


def test_tires_work_against_the_slip() -> None:
    states, actions = random_cars(5000)
    v_x, v_y, yaw_rate = states[:, 3], states[:, 4], states[:, 5]
    wheel, steering = actions[:, 0], actions[:, 1]
    front, rear_x, rear_y = bicycle.tire_forces(
        v_x, v_y, yaw_rate, bicycle.held((wheel, steering), np), CAR, np
    )
    front_v_y = v_y + CAR.front_length * yaw_rate
    assert (front * (front_v_y * np.cos(steering) - v_x * np.sin(steering)) <= 0).all()
    assert (rear_x * (wheel - v_x) >= 0).all()
    assert (rear_y * (v_y - CAR.rear_length * yaw_rate) <= 0).all()


@settings(max_examples=200)
@given(
    velocities=st.tuples(
        st.floats(-VELOCITY_LIMIT, VELOCITY_LIMIT),
        st.floats(-VELOCITY_LIMIT, VELOCITY_LIMIT),
        st.floats(-60.0, 60.0),
    ),
    wheel_speed=st.floats(0.0, 10.0),
    steering=st.floats(-STEERING, STEERING),
)
def test_no_reachable_state_breaks_the_car(
    velocities: tuple[float, float, float], wheel_speed: float, steering: float
) -> None:
    state, action = np.array([1.0, 0, 0, *velocities]), np.array([wheel_speed, steering])
    for _ in range(5):
        state = bicycle.step(state, action, PERIOD, CAR)
        assert np.isfinite(state).all()
    # The tires can add no more than their friction times the time.
    assert math.hypot(*state[3:5]) <= math.hypot(*velocities[:2]) + 20.0 * 5 * PERIOD + 0.1
