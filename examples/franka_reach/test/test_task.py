# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Task and robot file fit each other and the stack: python3 -m pytest here, or colcon test."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loop_ros.settings import Settings
from loop_ros.sim import registry

TASK = registry.task('franka_reach.task:TASK')  # checks what can be wrong with one
ROBOT_FILE = Path(__file__).resolve().parents[1] / 'config' / 'robot.yaml'


def observations(count):
    """Random ones: [count, O]."""
    size = (count, len(TASK.observation_labels))
    return torch.from_numpy(np.random.default_rng(0).normal(0.0, 3.0, size))


def test_the_name_is_that_of_the_package():
    assert TASK.name == 'franka_reach'


def test_reward_cost_and_end_are_finite_for_any_observation():
    before, after = observations(200), observations(200).flip(0)
    low, high = torch.tensor(TASK.action_low), torch.tensor(TASK.action_high)
    action = low + torch.rand(200, len(low)) * (high - low)
    state = TASK.encode(after)
    assert state.isfinite().all()
    assert TASK.reward(before, action, after).isfinite().all()
    if TASK.cost is not None:
        assert (TASK.cost(state) >= 0).all()
    if TASK.termination is not None:
        assert TASK.termination(state).shape == (200,)


def test_metrics_have_numbers():
    for observation in observations(20).numpy():
        assert np.isfinite(list(TASK.metrics(observation).values())).all()


def test_the_profile_is_usable():
    assert Settings.for_task(TASK).planner.d0 == TASK.default_d0


def test_the_robot_file_fits_the_task():
    description = pytest.importorskip('loop_ros.robot.description')
    robot = description.load(ROBOT_FILE)
    assert robot.task == TASK


HOME = [0.0, -0.6, 0.0, -2.2, 0.0, 0.03, 0.8]  # rad; the hand is at 0.364, 0, 0.502 m


def observation(joints=HOME, goal=(0.364, 0.0, 0.602)):
    """Of an arm that stands."""
    return torch.tensor([*joints, *[0.0] * 7, *goal], dtype=torch.float64)


def test_the_hand_is_where_the_simulator_has_it():
    state = TASK.encode(observation())
    assert state[14:17].tolist() == pytest.approx([0.3639, -0.0001, 0.5016], abs=1e-4)
    assert float(state[-1]) == pytest.approx(0.1, abs=1e-3)


def test_joint_limits_table_and_fixture_cost():
    def cost(joints):
        return float(TASK.cost(TASK.encode(observation(joints))))

    assert cost(HOME) == 0.0
    near = 1.7628 - 0.06  # rad; 0.04 into the margin of 0.1
    assert cost([0.0, near, 0.0, -2.8, *HOME[4:]]) >= 1.4
    low = [0.0, 0.2, 0.0, -2.0, 0.0, 0.03, 0.8]  # over the fixture, 0.244 m high
    assert float(TASK.encode(observation(low))[16]) == pytest.approx(0.244, abs=1e-3)
    assert cost(low) == pytest.approx(1.0 + 0.056 / 0.05, abs=0.02)  # 5.6 cm below 0.3 m
    assert cost([0.6, *low[1:]]) == 0.0  # the same beside it


def test_arrival_ends_an_episode_and_distance_has_a_price():
    near, far = observation(goal=(0.364, 0.0, 0.532)), observation()
    assert TASK.termination(TASK.encode(torch.stack((near, far)))).tolist() == [True, False]
    price = float(TASK.reward(near, torch.zeros(7), far))
    assert price == pytest.approx(-2.0 * 0.1, abs=0.002)
    assert float(TASK.reward(near, torch.full((7,), 0.8), far)) == pytest.approx(price - 0.05)
