# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Task and robot file fit each other and the stack: python3 -m pytest here, or colcon test."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from loop_ros.settings import Settings
from loop_ros.sim import registry

TASK = registry.task('diff_drive_lidar.task:TASK')  # checks what can be wrong with one
ROBOT_FILE = Path(__file__).resolve().parents[1] / 'config' / 'robot.yaml'


def observations(count):
    """Random ones: [count, O]."""
    size = (count, len(TASK.observation_labels))
    return torch.from_numpy(np.random.default_rng(0).normal(0.0, 3.0, size))


def test_the_name_is_that_of_the_package():
    assert TASK.name == 'diff_drive_lidar'


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


def observation(*, goal=(3.0, 4.0), **beams):
    """Of a robot that stands; beams are by their numbers, as beam_16=0.5, the others 3 m."""
    values = dict.fromkeys(TASK.observation_labels, 3.0) | {TASK.observation_labels[1]: 0.0}
    values |= {'speed': 0.0, 'goal_x': goal[0], 'goal_y': goal[1], **beams}
    return torch.tensor([values[label] for label in TASK.observation_labels], dtype=torch.float64)


def test_a_goal_at_3_and_4_m_is_5_m_away_and_seen_to_the_left():
    assert TASK.encode(observation())[2:7].tolist() == pytest.approx([3.0, 4.0, 5.0, 0.6, 0.8])


def test_the_nearest_beam_gives_direction_and_clearance():
    state = TASK.encode(observation(beam_24=0.5))  # to the left: 95.6 deg
    angle = (24.5 / 16 - 1.0) * math.pi
    assert state[-3:].tolist() == pytest.approx(
        [math.cos(angle), math.sin(angle), math.log(0.5)], abs=1e-6
    )


def test_a_turn_turns_the_harmonics_and_leaves_their_size():
    before = TASK.encode(observation(beam_20=1.0, beam_21=1.5))
    after = TASK.encode(observation(beam_16=1.0, beam_17=1.5))  # turned left by 4 sectors
    assert after[7] == pytest.approx(float(before[7]))
    one, other = (complex(*x[8:10].tolist()) for x in (before, after))
    assert other / one == pytest.approx(complex(math.cos(math.pi / 4), -math.sin(math.pi / 4)))


def test_only_what_is_too_close_costs():
    near, far = (TASK.cost(TASK.encode(observation(beam_3=d))) for d in (0.3, 0.5))
    assert (near, far) == (1.0, 0.0)


def test_arrival_and_collision_end_an_episode():
    ends = [
        bool(TASK.termination(TASK.encode(observation(**given))))
        for given in ({}, {'goal': (0.2, 0.2)}, {'beam_0': 0.3}, {'beam_0': 0.2})
    ]
    assert ends == [False, True, False, True]


def test_a_decimetre_gained_is_worth_its_length_less_the_price_of_time():
    before, after, action = observation(), observation(goal=(2.94, 3.92)), torch.zeros(2)
    assert float(TASK.reward(before, action, after)) == pytest.approx(0.1 - 0.03)
    hit = observation(goal=(2.94, 3.92), beam_0=0.2)
    assert float(TASK.reward(before, action, hit)) == pytest.approx(0.1 - 0.03 - 1.0)
