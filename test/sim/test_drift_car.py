# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The drift car as a gymnasium environment and as a task."""

from __future__ import annotations

import math

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from robots import assert_gymnasium

from loop_ros.sim import bicycle, drift_car, registry

Array = NDArray[np.float64]


def observation(
    radius: float = 1.0,
    angle: float = 0.0,
    error: float = 0.0,
    v_x: float = 3.5,
    v_y: float = 0.0,
    yaw_rate: float = 0.0,
) -> Array:
    """The car at a place on a circle, its heading `error` off the counter-clockwise tangent."""
    yaw = angle + math.pi / 2 + error
    return np.array([radius * math.cos(angle), radius * math.sin(angle), yaw, v_x, v_y, yaw_rate])


def test_the_drift_car_is_a_gymnasium_environment() -> None:
    assert_gymnasium(registry.make('drift_car'))


def test_the_registry_knows_it_and_says_what_it_knows() -> None:
    assert 'drift_car' in registry.names()
    for find in (registry.task, registry.make):
        with pytest.raises(ValueError, match=r"unknown task 'drft_car'.*drift_car"):
            find('drft_car')


def test_task_and_environment_agree() -> None:
    task, env = registry.task('drift_car'), registry.make('drift_car')
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    np.testing.assert_array_equal(env.action_space.low, task.action_low)
    np.testing.assert_array_equal(env.action_space.high, task.action_high)
    assert task.action_low == pytest.approx((0.0, -math.pi / 6))
    assert task.action_high == pytest.approx((10.0, math.pi / 6))
    assert env.observation_space.shape == (len(task.observation_labels),)
    sizes = {len(task.action_labels), len(task.action_interfaces), len(task.safe_command)}
    assert sizes == {2}
    assert env.action_space.contains(np.array(task.safe_command))
    encoded = task.encode(torch.as_tensor(env.reset(seed=0)[0]))
    assert encoded.shape == (task.state_dim,)


def test_an_episode_lasts_its_steps_of_one_control_period() -> None:
    env, task = registry.make('drift_car'), registry.task('drift_car')
    start, _ = env.reset(seed=1)
    action = np.array([3.0, 0.1])
    first = bicycle.step(start, action, task.control_period, bicycle.CarParameters())
    for step in range(task.max_episode_steps):
        reached, _, terminated, truncated, _ = env.step(action)
        if step == 0:
            np.testing.assert_array_equal(reached, first)
        assert not terminated
        assert truncated == (step == task.max_episode_steps - 1)
    assert task.control_period == 0.035
    assert task.max_episode_steps == 100


def test_actions_are_held_inside_the_limits() -> None:
    far, limit = registry.make('drift_car'), registry.make('drift_car')
    far.reset(seed=1)
    limit.reset(seed=1)
    reached = far.step(np.array([99.0, -5.0]))[0]
    np.testing.assert_array_equal(reached, limit.step(np.array([10.0, -math.pi / 6]))[0])


# On the line at v* and on the tangent the reward is 0; each term by itself, then all of them.
@pytest.mark.parametrize(
    ('state', 'expected'),
    [
        (observation(), 0.0),
        (observation(radius=1.15), -0.15),
        (observation(radius=0.7, angle=2.0), -0.3),
        (observation(v_x=1.5), -0.25 * 2.0**2),
        (observation(v_x=3.0, v_y=-4.0), -0.25 * 1.5**2),  # the speed is 5 m/s
        (observation(error=1.5), 0.0),  # drifting sideways costs nothing
        (observation(error=-math.pi / 2 - 0.4), -0.25 * 0.4**2),
        (observation(error=math.pi), -0.25 * (math.pi / 2) ** 2),
        (observation(radius=1.2, v_x=2.5, error=math.pi / 2 + 1.0), -0.2 - 0.25 - 0.25),
    ],
)
def test_reward_by_hand(state: Array, expected: float) -> None:
    assert float(drift_car.reward(state)) == pytest.approx(expected, abs=1e-12)


def test_the_environment_pays_the_state_it_reaches() -> None:
    for velocity in (3.5, 2.0):
        env = registry.make('drift_car', target_velocity=velocity)
        env.reset(seed=3)
        reached, reward, *_ = env.step(np.array([4.0, 0.2]))
        assert reward == pytest.approx(float(drift_car.reward(reached, velocity)), abs=1e-12)


@pytest.mark.parametrize(
    ('radius', 'expected'), [(1.0, 0.0), (1.199, 0.0), (1.201, 1.0), (9.0, 1.0), (0.01, 0.0)]
)
def test_cost_is_one_outside_the_limit(radius: float, expected: float) -> None:
    """The environment counts it and the planner's known cost of encoded states agrees."""
    for angle in (0.0, 1.0, -2.5):
        state = observation(radius, angle, v_x=0.0)
        env = registry.make('drift_car')
        env.reset(seed=0, options={'state': state})
        parked, _, _, _, info = env.step(np.zeros(2))
        np.testing.assert_allclose(parked, state)
        assert info['cost'] == expected
        assert drift_car.cost(drift_car.encode(torch.as_tensor(state))).item() == expected


def test_known_cost_equals_counted_cost_on_driven_states() -> None:
    env = registry.make('drift_car')
    env.action_space.seed(0)
    costs, states = [], []
    for episode in range(5):
        env.reset(seed=episode)
        for _ in range(100):
            reached, _, _, _, info = env.step(env.action_space.sample())
            costs.append(info['cost'])
            states.append(reached)
    known = drift_car.cost(drift_car.encode(torch.as_tensor(np.array(states))).float())
    assert 0 < sum(costs) < len(costs)
    assert known.tolist() == costs


@pytest.mark.parametrize('error', [0.0, 0.5, -3.0, 3.0, -math.pi])
@pytest.mark.parametrize('turns', [-7, 0, 3])
def test_heading_error_counts_from_the_tangent(error: float, turns: int) -> None:
    for angle in (0.0, 3.0, -1.5):
        state = observation(angle=angle, error=error)
        state[2] += turns * 2 * math.pi
        found = float(drift_car.heading_error(state))
        assert -math.pi <= found < math.pi
        assert math.cos(found - error) == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=50)
@given(angle=st.floats(-10, 10), turn=st.floats(-10, 10), radius=st.floats(0.01, 5))
def test_encoding_is_the_same_all_round_the_circle(
    angle: float, turn: float, radius: float
) -> None:
    here = observation(radius, angle, 0.4, 2.0, -0.5, 3.0)
    there = observation(radius, angle + turn, 0.4, 2.0, -0.5, 3.0)
    encoded = drift_car.encode(torch.as_tensor(here))
    torch.testing.assert_close(encoded, drift_car.encode(torch.as_tensor(there)))
    expected = [radius - 1.0, math.sin(0.4), math.cos(0.4), 2.0, -0.5, 3.0]
    assert encoded.tolist() == pytest.approx(expected, abs=1e-9)


def test_encoding_loses_nothing_the_reward_needs() -> None:
    """Reward from the encoded state alone, for states from all over."""
    rng = np.random.default_rng(0)
    states = rng.uniform((-1.5, -1.5, -9, -1, -2, -5), (1.5, 1.5, 9, 5, 2, 5), (200, 6))
    encoded = drift_car.encode(torch.as_tensor(states)).numpy()
    error = np.abs(np.arctan2(encoded[:, 1], encoded[:, 2]))
    expected = (
        -np.abs(encoded[:, 0])
        - 0.25 * (np.hypot(encoded[:, 3], encoded[:, 4]) - 3.5) ** 2
        - 0.25 * np.maximum(0, error - np.pi / 2) ** 2
    )
    np.testing.assert_allclose(drift_car.reward(states), expected, atol=1e-12)


@pytest.mark.parametrize('slip', [0.0, -0.6])
def test_path_draws_a_steady_circle(slip: float) -> None:
    """A car that circles at radius 1.1, sliding by `slip`: poses known in closed form."""
    radius, speed, start = 1.1, 2.2, 0.8
    # The velocity points along the tangent, the nose `slip` inside of it.
    state = observation(radius, start, -slip, speed * math.cos(slip), speed * math.sin(slip), 2.0)
    encoded = drift_car.encode(torch.as_tensor(state)).numpy()
    poses = drift_car.path(state, np.tile(encoded, (9, 1)))
    angle = start + speed / radius * 0.035 * np.arange(9)
    np.testing.assert_allclose(poses[:, 0], radius * np.cos(angle), atol=1e-12)
    np.testing.assert_allclose(poses[:, 1], radius * np.sin(angle), atol=1e-12)
    np.testing.assert_allclose(np.exp(1j * poses[:, 2]), np.exp(1j * (angle + np.pi / 2 - slip)))


def test_path_follows_what_was_driven() -> None:
    """Encoded states of a real drive give back the driven line within 1 cm over 8 steps."""
    env = registry.make('drift_car')
    for seed in range(5):
        driven = [env.reset(seed=seed)[0]]
        driven += [env.step(np.array([2.5, 0.25]))[0] for _ in range(8)]
        states = drift_car.encode(torch.as_tensor(np.array(driven))).numpy()
        poses = drift_car.path(driven[0], states)
        np.testing.assert_allclose(poses[:, :2], np.array(driven)[:, :2], atol=0.01)


def test_metrics_by_hand() -> None:
    found = drift_car.metrics(np.array([0.6, -0.8, 0.0, 3.0, -4.0, 1.0]))
    assert found == pytest.approx({'speed': 5.0, 'slip': math.atan2(4, 3), 'radius': 1.0})


def test_starts_fill_their_bounds_and_stay_in_them() -> None:
    env = registry.make('drift_car')
    states = np.array([env.reset(seed=seed)[0] for seed in range(500)])
    drawn = np.column_stack(
        (
            np.hypot(states[:, 0], states[:, 1]),
            np.arctan2(states[:, 1], states[:, 0]),
            drift_car.heading_error(states),
            states[:, 3:],
        )
    )
    low = np.array([0.9, -np.pi, -0.4, 0.0, -0.3, -1.0])
    high = np.array([1.1, np.pi, 0.4, 2.0, 0.3, 1.0])
    assert (drawn >= low).all()
    assert (drawn <= high).all()
    margin = 0.03 * (high - low)
    assert (drawn.min(axis=0) < low + margin).all()
    assert (drawn.max(axis=0) > high - margin).all()


def test_starts_repeat_with_their_seed() -> None:
    one, two = registry.make('drift_car'), registry.make('drift_car')
    np.testing.assert_array_equal(one.reset(seed=4)[0], two.reset(seed=4)[0])
    following = one.reset()[0]
    np.testing.assert_array_equal(following, two.reset()[0])
    assert not np.array_equal(following, one.reset(seed=4)[0])


def test_observations_are_the_readers_to_keep() -> None:
    env = registry.make('drift_car')
    first, _ = env.reset(seed=0)
    kept = first.copy()
    first += 1.0  # what a careless reader does to its copy does not reach the car
    second = env.step(np.array([2.0, 0.0]))[0]
    again = registry.make('drift_car')
    again.reset(seed=0)
    np.testing.assert_array_equal(second, again.step(np.array([2.0, 0.0]))[0])
    assert not np.array_equal(first, kept)


def test_scaling_of_actions_by_hand() -> None:
    task = registry.task('drift_car')
    scaled = task.normalize_action(np.array([[0.0, -math.pi / 6], [10.0, 0.0], [2.5, 0.1]]))
    expected = np.array([[-1, -1], [1, 0], [-0.5, 0.6 / math.pi]])
    np.testing.assert_allclose(scaled, expected, atol=1e-12)
    np.testing.assert_allclose(task.denormalize_action(np.array([0.5, -0.5])), [7.5, -math.pi / 12])
    # Rounding outside [-1, 1] does not leave the limits.
    np.testing.assert_array_equal(
        task.denormalize_action(np.array([1.0000002, -1.1])), [10.0, -math.pi / 6]
    )


class TestPicture:
    """480 pixels for 3.2 m: (x, y) is at column 240 + 150 x, row 240 - 150 y."""

    def drawn(self, x: float, y: float, yaw: float) -> np.ndarray:
        env = drift_car.DriftCar(render_mode='rgb_array')
        env.reset(seed=0, options={'state': [x, y, yaw, 0, 0, 0]})
        return np.asarray(env.render())

    def test_where_it_is_and_where_its_nose_points(self) -> None:
        picture = self.drawn(1.0, 0.0, np.pi / 2)
        assert picture.shape == (480, 480, 3) and picture.dtype == np.uint8
        body, nose = picture[250, 390], picture[240 - 20, 390]
        assert body.max() < 60  # dark
        assert nose[0] > 200 > nose[2]  # yellow, and upwards is forwards
        assert (self.drawn(1.0, 0.0, -np.pi / 2)[240 + 20, 390] == nose).all()
        np.testing.assert_array_equal(picture[240, 240], (245, 245, 242))  # nothing in the middle

    def test_the_way_behind_it(self) -> None:
        env = drift_car.DriftCar(render_mode='rgb_array')
        env.reset(seed=0, options={'state': [-0.5, 0.0, 0.0, 3.0, 0, 0]})
        for _ in range(8):
            env.step(np.array([3.0, 0.0]))
        blue = env.render().astype(int)[240, 240 - 75 : 240 - 30]
        assert (blue[:, 2] > blue[:, 0] + 50).all()

    def test_a_car_far_outside_is_still_in_it(self) -> None:
        dark = (self.drawn(4.0, 3.0, 0.0).max(axis=-1) < 60).sum()
        assert 30 < dark < (self.drawn(1.0, 0.0, 0.0).max(axis=-1) < 60).sum()

    def test_nothing_is_drawn_unasked(self) -> None:
        env = drift_car.DriftCar()
        env.reset(seed=0)
        assert env.render() is None
