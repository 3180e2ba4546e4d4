# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots with other friction and mass, late commands and noisy sensors."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from loop_ros.sim import disturbed, registry
from loop_ros.sim.disturbed import SENSOR_NOISE, Disturbance
from loop_ros.types import Array

TASK = registry.task('drift_car')
safety_gym = pytest.mark.skipif(
    not importlib.util.find_spec('safety_gymnasium'), reason='safety-gymnasium is not installed'
)


def make(text: str, task: str = 'drift_car') -> disturbed.Disturbed:
    return disturbed.make(registry.task(task), Disturbance.parse(text))


def drive(env: Any, actions: Array, seed: int = 3) -> Array:
    observations = [env.reset(seed=seed)[0]]
    observations.extend(env.step(action)[0] for action in actions)
    return np.array(observations)


def random_actions(count: int) -> Array:
    return np.random.default_rng(0).uniform(TASK.action_low, TASK.action_high, (count, 2))


@pytest.mark.parametrize('text', disturbed.DEFAULT)
def test_names_are_read_as_they_are_written(text: str) -> None:
    assert str(Disturbance.parse(text)) == text


@pytest.mark.parametrize(
    'text',
    ['', 'rain', 'friction', 'friction=', 'friction=0', 'mass=-1', 'mass=nan', 'delay=1.5',
     'none=1', 'noise=inf', 'delay=1=2', 'delay=1e9'],
)  # fmt: skip
def test_what_is_no_disturbance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'write none, friction=0\.7, '):
        Disturbance.parse(text)


def test_only_what_a_task_has_can_be_changed() -> None:
    for text in ('friction=0.7', 'mass=1.2', 'noise=1'):
        with pytest.raises(ValueError, match=r'InvertedPendulum has no .*drift_car, PointGoal1'):
            make(text, 'InvertedPendulum')


def test_a_robot_may_differ_in_several_ways() -> None:
    task = disturbed.changed(TASK, 'friction=0.8+mass=1.2+delay=2+none')
    actions = random_actions(30)
    expected = disturbed.Disturbed(TASK.make(friction=0.8, mass=1.2), TASK, 2, 0.0)
    np.testing.assert_array_equal(drive(task.make(), actions), drive(expected, actions))
    assert disturbed.changed(TASK, 'none') == TASK


def test_without_a_disturbance_it_is_the_same_robot() -> None:
    actions = random_actions(50)
    expected = drive(registry.make('drift_car'), actions)
    env = make('none')
    np.testing.assert_array_equal(drive(env, actions), expected)
    np.testing.assert_array_equal(env.states, expected)


def test_late_commands_come_in_order_after_the_safe_command() -> None:
    actions = random_actions(50)
    late = np.concatenate((np.tile(TASK.safe_command, (3, 1)), actions[:-3]))
    expected = drive(registry.make('drift_car'), late)
    env = make('delay=3')
    for _ in range(2):  # nothing waits from one episode to the next
        np.testing.assert_array_equal(drive(env, actions), expected)


def test_sensors_err_as_said_and_the_robot_does_not_move_by_it() -> None:
    actions = random_actions(100)
    env = make('noise=3')
    sensed = [drive(env, actions, seed) for seed in range(20)]
    np.testing.assert_array_equal(env.states, drive(registry.make('drift_car'), actions, 19))
    errors = np.concatenate([s - drive(make('none'), actions, i) for i, s in enumerate(sensed)])
    expected = [3 * SENSOR_NOISE['drift_car'][label] for label in TASK.observation_labels]
    np.testing.assert_allclose(errors.std(axis=0), expected, rtol=0.1)
    np.testing.assert_array_equal(drive(env, actions, 4), sensed[4])
    assert not np.array_equal(sensed[4][0] - sensed[5][0], [0.0] * 6)


def gained(text: str, velocity: float, wheel_speed: float) -> float:
    """What the car gains in the first period of driving straight on, m/s."""
    env = make(text)
    env.reset(options={'state': [1.0, 0.0, 1.5, velocity, 0.0, 0.0]})
    return float(env.step(np.array([wheel_speed, 0.0]))[0][3]) - velocity


def test_spinning_wheels_push_by_friction_whatever_the_mass() -> None:
    usual = gained('none', 1.0, 10.0)
    for factor in (0.7, 1.3):
        assert gained(f'friction={factor}', 1.0, 10.0) == pytest.approx(factor * usual, rel=0.02)
    assert gained('mass=1.2', 1.0, 10.0) == pytest.approx(usual, rel=0.02)


def test_a_heavier_car_answers_a_small_slip_more_slowly() -> None:
    slow = gained('mass=1.2', 3.0, 3.1)
    assert gained('none', 3.0, 3.1) / slow == pytest.approx(1.2, rel=0.05)


@pytest.mark.slow
@safety_gym
def test_the_point_robot_coasts_by_its_friction_and_mass() -> None:
    """Speed falls by exp(-damping / mass t), as its joints are damped, from the same start."""
    starts = []

    def rate(text: str) -> float:
        env = make(text, 'PointGoal1')
        env.reset(seed=3)  # the simulation makes its model again at each reset
        starts.append(drive(env, np.tile([1.0, 0.0], (8, 1)))[0])
        before, after = (np.hypot(*env.step(np.zeros(2))[0][:2]) for _ in range(2))
        return float(np.log(before / after))

    usual = rate('none')
    assert rate('friction=1.3') == pytest.approx(1.3 * usual, rel=0.05)
    assert rate('mass=1.2') == pytest.approx(usual / 1.2, rel=0.05)
    for start in starts:
        np.testing.assert_allclose(start, starts[0], atol=1e-9)
