# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bring the hand to a goal, over the fixture on the table and inside the joints' limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from franka_reach.kinematics import hand
from loop_ros.sim.task import Task

PERIOD = 0.1  # s
STEPS = 60  # of an episode
JOINTS = tuple(f'panda_joint{i}' for i in range(1, 8))
LOW = (-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -1.6573, -2.8973)  # rad
HIGH = (2.8973, 1.7628, 2.8973, -0.4, 2.8973, 2.1127, 2.8973)
MARGIN = 0.1  # rad from a limit; nearer costs
SPEED = 0.8  # rad/s
GOAL_RADIUS = 0.04  # m; within it the goal is reached
TABLE = 0.08  # m; the hand costs below it
FIXTURE_Y, FIXTURE_Z = 0.08, 0.3  # m; and within the one of the middle and below the other
DEPTH = 0.05  # m; and as much again for each so deep in there, so that it pays to come out
DISTANCE_PRICE, EFFORT_PRICE = (
    2.0,
    0.05,
)  # of a step a metre away; of one with all joints at full speed

LABELS = (*JOINTS, *(f'{name}_velocity' for name in JOINTS), 'goal_x', 'goal_y', 'goal_z')
STATE_DIM = 7 + 7 + 3 + 3 + 1
PLACE, TO_GOAL, DISTANCE = slice(14, 17), slice(17, 20), -1  # of the hand, in the state


def encode(observation: Tensor) -> Tensor:
    """Joints, their velocities, hand, goal from the hand, distance; [..., 17] -> [..., 21]."""
    joints, velocities, goal = observation.split((7, 7, 3), dim=-1)
    place = hand(joints)
    distance = (goal - place).norm(dim=-1, keepdim=True)
    return torch.cat((joints, velocities, place, goal - place, distance), dim=-1)


def reward(observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
    """The prices of distance and effort; [..., 17], [..., 7], [..., 17] -> [...].

    Metres gained, as a wheeled robot is paid, taught the arm nothing: what is still to be gained
    far away makes up for it in the value, and of seven joints few random steps gain any.
    """
    distance = (next_observation[..., 14:] - hand(next_observation[..., :7])).norm(dim=-1)
    effort = (action / SPEED).square().mean(dim=-1)
    return -DISTANCE_PRICE * distance - EFFORT_PRICE * effort


def cost(state: Tensor) -> Tensor:
    """1 and more where a joint is at a limit or the hand at table or fixture; [..., 21] -> [...].

    Were it 1 everywhere in there, no plan that ends in there would be better than another.
    """
    joints, (_, y, z) = state[..., :7], state[..., PLACE].unbind(-1)
    low, high = joints.new_tensor(LOW) + MARGIN, joints.new_tensor(HIGH) - MARGIN
    limit = torch.maximum(low - joints, joints - high).amax(dim=-1) / MARGIN
    table = (TABLE - z) / DEPTH
    fixture = torch.minimum(FIXTURE_Y - y.abs(), FIXTURE_Z - z) / DEPTH
    depth = torch.stack((limit, table, fixture), dim=-1).amax(dim=-1)
    return torch.where(depth > 0, 1.0 + depth, 0.0)


def termination(state: Tensor) -> Tensor:
    """Whether the goal is reached; [..., 21] -> [...].

    By the way to it: a model that predicts its length rounds off the tip of the cone at the goal.
    """
    return state[..., TO_GOAL].norm(dim=-1) < GOAL_RADIUS


def metrics(observation: np.ndarray) -> dict[str, float]:
    """Distance of the goal and height of the hand (m), and 1 where the goal is reached."""
    state = encode(torch.as_tensor(observation))
    distance, height = float(state[DISTANCE]), float(state[PLACE][2])
    return {'distance': distance, 'height': height, 'reached': float(distance < GOAL_RADIUS)}


def make_environment(**kwargs: Any) -> Any:
    """The simulation, whose simulator is imported when it is needed."""
    from franka_reach.environment import Environment

    return Environment(**kwargs)


TASK = Task(
    name='franka_reach',
    observation_labels=LABELS,
    action_labels=JOINTS,
    action_interfaces=('velocity',) * 7,
    action_low=(-SPEED,) * 7,
    action_high=(SPEED,) * 7,
    control_period=PERIOD,
    max_episode_steps=STEPS,
    safe_command=(0.0,) * 7,
    default_d0=0.0,
    state_dim=STATE_DIM,
    encode=encode,
    metrics=metrics,
    cost=cost,
    cost_is_exact=True,
    termination=termination,
    reward=reward,
    profile=str(Path(__file__).parent / 'config' / 'profile.yaml'),
    environment=make_environment,
)
