# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pen in the hand: goals, reward and the end of an episode, in MuJoCo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from robots import drive, random_actions

from loop_ros.sim import pen_goal
from loop_ros.sim.pen_goal import PenGoal


def pen_in(drop: float, angle: float) -> PenGoal:
    """The pen `drop` m below its place, where it lies along x; the goal `angle` rad off that."""
    env = PenGoal()
    env.reset(seed=0)
    state = env.world.get_env_state()
    state['qpos'][env.world.model.joint('OBJTx').qposadr[0]] = drop  # this slide points down
    half = (math.pi / 2 - angle) / 2  # of the turn about y that lays the upward axis there
    state['desired_orien'] = np.array((math.cos(half), 0.0, math.sin(half), 0.0))
    env.world.set_env_state(state)
    return env


def test_goals_are_drawn_round_their_angles() -> None:
    from gymnasium_robotics.utils.rotations import quat2euler

    env, angles = PenGoal(), []
    env.reset(seed=0)
    for _ in range(600):
        env.reset()
        angles.append(quat2euler(env.world.model.body('target').quat))
    mean, std = np.mean(angles, axis=0), np.std(angles, axis=0)
    np.testing.assert_allclose(mean, (0.7, 0.7, 0.0), atol=0.017)  # 4 standard errors
    np.testing.assert_allclose(std, (0.1, 0.1, 0.0), atol=0.012)
    assert abs(np.corrcoef(np.array(angles)[:, :2].T)[0, 1]) < 0.17


def test_the_observation_holds_the_goal_that_was_drawn() -> None:
    env = PenGoal()
    observation = env.reset(seed=5)[0]
    w, x, y, z = env.world.model.body('target').quat
    turned = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))  # the upward axis
    np.testing.assert_allclose(observation[pen_goal.GOAL_AXIS], turned, atol=1e-9)
    np.testing.assert_allclose(observation[pen_goal.AXIS], (1, 0, 0), atol=2e-3)


def test_the_world_is_that_of_adroit_hand_pen() -> None:
    """Same start, goal and (scaled) commands: same observations and rewards."""
    from gymnasium_robotics.envs.adroit_hand.adroit_pen import AdroitHandPenEnv

    task, env, bare = pen_goal.TASK, PenGoal(), AdroitHandPenEnv()
    start = env.reset(seed=2)[0]
    options = {'initial_state_dict': env.world.get_env_state()}
    np.testing.assert_allclose(start, bare.reset(options=options)[0], rtol=0, atol=1e-12)
    for action in random_actions(pen_goal.TASK, 25):
        observation, reward, *_ = env.step(action)
        expected, paid, *_ = bare.step(task.normalize_action(action))
        np.testing.assert_allclose(observation, expected, rtol=0, atol=1e-12)
        assert reward == pytest.approx(paid, abs=1e-12)


# The bonuses are for cosines above 0.9 and 0.95: angles below 0.451 and 0.318.
@pytest.mark.parametrize(
    ('angle', 'bonus'),
    [(0.0, 60.0), (0.29, 60.0), (0.35, 10.0), (0.42, 10.0), (0.48, 0.0), (math.pi, 0.0)],
)
def test_reward_of_the_pen_by_hand(angle: float, bonus: float) -> None:
    env = pen_in(0.0, angle)
    observation, reward, terminated, _, info = env.step(np.array(pen_goal.TASK.safe_command))
    # A hundredth of a second after the start the pen has hardly moved.
    assert reward == pytest.approx(math.cos(angle) + bonus, abs=0.02)
    assert info['success'] == (bonus == 60.0)
    assert not terminated
    assert pen_goal.metrics(observation)['orientation_error'] == pytest.approx(angle, abs=0.02)


def test_a_dropped_pen_costs_5_and_ends_the_episode() -> None:
    """0.2 m below its place, which is 0.25 m high, and pointing against the goal."""
    env = pen_in(0.2, math.pi)
    observation, reward, terminated, truncated, _ = env.step(np.array(pen_goal.TASK.safe_command))
    assert observation[pen_goal.PEN_Z] == pytest.approx(0.05, abs=0.01)
    assert reward == pytest.approx(-0.2 - 1.0 - 5.0, abs=0.02)
    assert terminated
    assert not truncated
    assert pen_goal.metrics(observation)['distance'] == pytest.approx(0.2, abs=0.01)


def test_termination_of_states_equals_the_flags() -> None:
    env = PenGoal()
    states, flags = [], []
    for seed in range(6):
        for observation, _, terminated, _ in drive(
            env, random_actions(pen_goal.TASK, 200, seed), seed
        ):
            states.append(observation)
            flags.append(terminated)
    for drop in (0.1, 0.17, 0.173, 0.174, 0.175, 0.176, 0.18, 0.22):
        step = pen_in(drop, 0.0).step(np.array(pen_goal.TASK.safe_command))
        observation, _, terminated, *_ = step
        states.append(observation)
        flags.append(terminated)
    encoded = pen_goal.encode(torch.as_tensor(np.array(states)).float())
    assert pen_goal.termination(encoded).tolist() == flags
    assert 6 < sum(flags) < len(flags)
    assert pen_goal.termination(encoded.expand(2, -1, -1)).shape == (2, len(flags))


@pytest.mark.parametrize(('height', 'dropped'), [(0.0749, True), (0.0751, False)])
def test_a_pen_is_dropped_below_75_mm(height: float, dropped: bool) -> None:
    state = torch.zeros(39, dtype=torch.float64)
    state[26] = height
    assert pen_goal.termination(state).item() is dropped


def test_what_the_state_leaves_out_follows_from_it() -> None:
    steps = drive(PenGoal(), random_actions(pen_goal.TASK, 30), 1)
    observations = np.array([observation for observation, *_ in steps])
    state = pen_goal.encode(torch.as_tensor(observations)).numpy()
    position, axis, goal = state[:, 24:27], state[:, 33:36], state[:, 36:39]
    np.testing.assert_allclose(observations[:, 39:42], position - (0.0, -0.2, 0.25), atol=1e-12)
    np.testing.assert_allclose(observations[:, 42:], axis - goal, atol=1e-12)
    # And it has the velocities of the pen under their names.
    moved = np.diff(position, axis=0) / pen_goal.CONTROL_PERIOD
    place = pen_goal.LABELS.index('OBJTx_velocity')
    velocity = state[:, place : place + 3] @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    assert np.corrcoef(moved.ravel(), (velocity[1:] + velocity[:-1]).ravel() / 2)[0, 1] > 0.9
