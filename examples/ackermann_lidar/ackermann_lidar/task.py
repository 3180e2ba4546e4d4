# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drive to a goal and keep clear of what the lidar sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.drawing import Circle, Drawing
from loop_ros.sim.lidar import Lidar
from loop_ros.sim.task import Task

PERIOD = 0.1  # s
STEPS = 200  # of an episode
LIDAR = Lidar(sectors=32, farthest=3.0)  # from behind over the right, to behind
GOAL_RADIUS = 0.3  # m; within it the goal is reached
CLEARANCE = 0.4  # m from the lidar in the car's middle; nearer costs 1 a step
TOUCHING = 0.24  # m from the lidar: the car's corners are at 0.233
TIME_PRICE = 0.03  # m of progress that a step takes away
COLLISION_PRICE = 1.0  # m, once

LABELS = ('speed', 'steering', 'goal_x', 'goal_y', *LIDAR.labels)
STATE_DIM = 2 + 2 + 3 + LIDAR.NUM_FEATURES
GOAL, SEEN = slice(2, 4), slice(7, None)  # places in the state


def encode(observation: Tensor) -> Tensor:
    """Motion, goal, its distance and direction, lidar; [..., 36] -> [..., 15]."""
    motion, goal, beams = observation.split((2, 2, LIDAR.sectors), dim=-1)
    distance = goal.norm(dim=-1, keepdim=True)
    bearing = goal / distance.clamp(min=1e-6)
    return torch.cat((motion, goal, distance, bearing, LIDAR.features(beams)), dim=-1)


def reward(observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
    """Metres gained towards the goal, less the prices of time and collision; [..., 36] -> [...]."""
    before, after = (x[..., 2:4].norm(dim=-1) for x in (observation, next_observation))
    collided = (next_observation[..., 4:].amin(dim=-1) < TOUCHING).to(before.dtype)
    return before - after - TIME_PRICE - COLLISION_PRICE * collided


def cost(state: Tensor) -> Tensor:
    """1 where something is too close, else 0; [..., 15] -> [...]."""
    return LIDAR.is_within(state[..., SEEN], CLEARANCE).to(state.dtype)


def termination(state: Tensor) -> Tensor:
    """Whether the goal is reached or something touched; [..., 15] -> [...].

    Arrival by the way to the goal: a model that predicts its length rounds off the tip of the cone.
    """
    arrived = state[..., GOAL].norm(dim=-1) < GOAL_RADIUS
    return arrived | LIDAR.is_within(state[..., SEEN], TOUCHING)


def metrics(observation: np.ndarray) -> dict[str, float]:
    """Distance of the goal and clearance (m), speed (m/s), and 1 where the goal is reached."""
    return {
        'distance': float(np.hypot(*observation[2:4])),
        'clearance': float(observation[4:].min()),
        'speed': float(observation[0]),
        'reached': float(np.hypot(*observation[2:4]) < GOAL_RADIUS),
    }


def around(observation: np.ndarray) -> tuple[Circle, ...]:
    """The goal, and what the lidar sees."""
    goal_x, goal_y = observation[2:4].tolist()
    goal = Circle(GOAL_RADIUS, goal_x, goal_y, goal=True)
    return (goal, *LIDAR.circles(observation[4:], CLEARANCE))


def make_environment(**kwargs: Any) -> Any:
    """The simulation, whose simulator is imported when it is needed."""
    from ackermann_lidar.environment import Environment

    return Environment(**kwargs)


TASK = Task(
    name='ackermann_lidar',
    observation_labels=LABELS,
    action_labels=('speed', 'steering'),
    action_interfaces=('velocity', 'position'),
    action_low=(-0.5, -0.5),  # m/s, rad
    action_high=(1.0, 0.5),
    control_period=PERIOD,
    max_episode_steps=STEPS,
    safe_command=(0.0, 0.0),
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
    drawing=Drawing(around=around, follows_robot=True, robot=(0.4, 0.24)),
)
