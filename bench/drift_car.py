# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The car's RK4 step against scipy.solve_ivp: time a step and error, as ratios from one run.

Errors are the largest over the six state variables, against solve_ivp at 1e-9; the largest sit
where the tire begins to slide and its force jumps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from loop_ros.bench.report import Row
from loop_ros.sim import bicycle
from loop_ros.sim.drift_car import ACTION_HIGH, ACTION_LOW, CONTROL_PERIOD

Array = NDArray[np.float64]
TITLE = 'One control period of a random car, by method'
CAR = bicycle.CarParameters()
REQUIRED_RATIO = 50.0  # of the batched step over solve_ivp with its default tolerances


def random_cars(num: int, seed: int) -> tuple[Array, Array]:
    """States and actions from all over what the car can reach."""
    rng = np.random.default_rng(seed)
    high = np.array([1.5, 1.5, np.pi, 6.0, 3.0, 8.0])
    low = np.array([-1.5, -1.5, -np.pi, -3.0, -3.0, -8.0])
    return rng.uniform(low, high, (num, 6)), rng.uniform(ACTION_LOW, ACTION_HIGH, (num, 2))


def scipy_step(state: Array, action: Array, **tolerances: float) -> Array:
    """One control period by scipy's RK45, on the single-car equations in plain floats."""
    wheels = bicycle.held(action.tolist(), bicycle._Floats)

    def rate(_: float, y: Array) -> Any:
        return bicycle.derivative(y.tolist(), wheels, CAR, bicycle._Floats)

    return np.asarray(solve_ivp(rate, (0.0, CONTROL_PERIOD), state, **tolerances).y[:, -1])


def one_by_one(step: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    """A step of one car as a step of many."""

    def run(states: Array, actions: Array) -> Array:
        return np.array([step(s, a) for s, a in zip(states, actions, strict=True)])

    return run


def batched(states: Array, actions: Array) -> Array:
    """The environment's own step."""
    return bicycle.step(states, actions, CONTROL_PERIOD, CAR)


def seconds_per_car(
    run: Callable[[Array, Array], Array], states: Array, actions: Array, repeats: int
) -> float:
    """Best of `repeats`: what the method needs when nothing else disturbs it."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(states, actions)
        times.append(time.perf_counter() - start)
    return min(times) / len(states)


def run(options: argparse.Namespace) -> list[Row]:
    """A row for each method; options: num (cars in the batch), repeats."""
    states, actions = random_cars(options.num, seed=0)
    exact = one_by_one(lambda s, a: scipy_step(s, a, rtol=1e-9, atol=1e-9))
    reference = exact(states, actions)
    methods: dict[str, Callable[[Array, Array], Array]] = {
        'solve_ivp, default': one_by_one(scipy_step),
        'solve_ivp, 1e-9': exact,
        'RK4, single car': one_by_one(batched),
        'RK4, batched': batched,
    }
    rows: list[Row] = []
    for name, method in methods.items():
        seconds = seconds_per_car(method, states, actions, options.repeats)
        error = np.abs(method(states, actions) - reference).max(axis=1)
        median, most, largest = np.quantile(error, (0.5, 0.9, 1.0)).tolist()
        row = {
            'method': name,
            'us_a_car': 1e6 * seconds,
            'ratio': rows[0]['us_a_car'] / (1e6 * seconds) if rows else 1.0,
            'error_median': median,
            'error_90%': most,
            'error_largest': largest,
        }
        rows.append(row)
    rows[-1]['required_ratio'] = REQUIRED_RATIO
    return rows
