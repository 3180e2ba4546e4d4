# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointGoal1 and CarGoal1 of safety-gymnasium: what the planner knows of them."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.drawing import Circle, Drawing
from loop_ros.sim.safety_goal import (
    ACTION_REPEAT,
    CONTROL_PERIODS,
    GOAL_RADIUS,
    HAZARD_RADIUS,
    HAZARDS,
    LABELS,
    SIMULATION_STEPS,
    SafetyGoal,
)
from loop_ros.sim.task import Task
from loop_ros.types import Array

JUMP = 0.1  # m; a new goal is further from the old one, and nothing else moves a goal
VASE_RADIUS = 0.1  # m, about
MARGIN = 0.03  # m; between states a robot cuts corners, and a model errs by a centimetre
GOAL, FIRST_HAZARD = LABELS.index('goal_x'), LABELS.index('hazard0_x')
DISTANCE = len(LABELS)  # of the goal, in a state
FIELD = slice(LABELS.index('field_x'), LABELS.index('field_z'))  # points south, in the plane
HAZARD_POSITIONS = slice(FIRST_HAZARD, FIRST_HAZARD + 2 * HAZARDS)


def encode(observation: Tensor) -> Tensor:
    """The observation in axes that do not turn, with the goal's distance and direction [..., 29].

    The magnetic field tells the robot's heading, by which all positions are turned back: however
    the robot moves, they then change by one and the same step, which is all that a model has to
    learn of them. Distance (m) and direction in the robot's frame are for reward and steering.
    """
    sensors, positions = observation[..., :GOAL], observation[..., GOAL : len(LABELS)]
    return _state(sensors, _turned(positions, sensors, back=False))


def _state(sensors: Tensor, positions: Tensor) -> Tensor:
    """Sensors [..., 6] and positions [..., 20] that do not turn, as a state [..., 29]."""
    goal = positions[..., :2]
    distance = goal.norm(dim=-1, keepdim=True)
    direction = _turned(goal / distance.clamp(min=1e-6), sensors, back=True)
    return torch.cat((sensors, positions, distance, direction), dim=-1)


def _turned(positions: Tensor, sensors: Tensor, back: bool) -> Tensor:
    """Positions x, y, x, y ... turned by the robot's heading, or `back` into its frame."""
    field = sensors[..., FIELD]
    heading = -field / field.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    sine, cosine = heading.split(1, dim=-1)
    x, y = positions.unflatten(-1, (-1, 2)).unbind(-1)
    sine = -sine if back else sine
    return torch.stack((cosine * x - sine * y, sine * x + cosine * y), dim=-1).flatten(-2)


def cost(state: Tensor) -> Tensor:
    """1 where a state is inside a hazard or within 3 cm of one, else 0; [..., 29] -> [...].

    The simulation's own signal counts simulation steps inside: 0 to 5 in the agent step to that
    state.
    """
    offsets = state[..., HAZARD_POSITIONS].unflatten(-1, (HAZARDS, 2))
    close = torch.hypot(offsets[..., 0], offsets[..., 1]) < HAZARD_RADIUS + MARGIN
    return close.any(dim=-1).to(state.dtype)


def predictable_next_state(state: Tensor, next_state: Tensor) -> Tensor:
    """The next state with the old goal, moved like the hazards; [..., 29] each.

    A goal that was reached appears elsewhere at once, which nothing can predict. The hazards stand
    still in the world, so that their motion is that of everything fixed.
    """
    before, after = (
        x[..., HAZARD_POSITIONS].unflatten(-1, (HAZARDS, 2)) for x in (state, next_state)
    )
    goal = state[..., GOAL : GOAL + 2] + (after - before).mean(dim=-2)
    rest = next_state[..., GOAL + 2 : len(LABELS)]
    return _state(next_state[..., :GOAL], torch.cat((goal, rest), dim=-1))


def goal_resampled(state: Tensor) -> Tensor:
    """Whether the goal was reached; [..., 29] -> [...]."""
    return state[..., DISTANCE] <= GOAL_RADIUS


def reward(observation: Tensor, action: Tensor, next_observation: Tensor, period: float) -> Tensor:
    """The simulation's reward of a step of `period` s; [..., 26], [..., 2], [..., 26] -> [...].

    Metres gained towards the goal, which is exact: those of 5 simulation steps add up. A goal that
    is elsewhere now was reached, and 1 is added, with the metres to the new goal instead of the old
    one from there on. Where that was is approximate: of the 5 places along a cubic through both
    positions and velocities the first inside the goal. In 185 arrivals of PointGoal1 and CarGoal1
    the reward was off by 0.5 mm on average and by 1.1 cm at most.
    """
    state, next_state = encode(observation), encode(next_observation)
    goal, goal_after = state[..., GOAL : GOAL + 2], next_state[..., GOAL : GOAL + 2]
    # All that stands still has moved by this much.
    moved = predictable_next_state(state, next_state)[..., GOAL : GOAL + 2] - goal
    path = _path(moved, state, next_state, period)
    old, new = (goal + path).norm(dim=-1), (goal_after - moved + path).norm(dim=-1)  # [5, ...]
    inside = old <= GOAL_RADIUS
    inside[-1] = True  # also where the path misses it by a hair
    first = inside.to(torch.uint8).argmax(dim=0, keepdim=True)
    nearer = (new - old).gather(0, first)[0]
    elsewhere = (goal_after - goal - moved).norm(dim=-1) > JUMP
    arrived = elsewhere | (next_state[..., DISTANCE] <= GOAL_RADIUS)
    return state[..., DISTANCE] - next_state[..., DISTANCE] + arrived * (1.0 + nearer)


def _path(moved: Tensor, state: Tensor, next_state: Tensor, period: float) -> Tensor:
    """How far what stands still has moved, seen from the robot, after each step; [5, ..., 2]."""
    start, end = (
        -period * _turned(x[..., :2], x[..., :GOAL], back=False) for x in (state, next_state)
    )
    steps = torch.arange(1, ACTION_REPEAT + 1, dtype=moved.dtype, device=moved.device)
    t = (steps / ACTION_REPEAT).reshape(-1, *(1 for _ in moved.shape))
    return (3 - 2 * t) * t**2 * moved + t * (1 - t) ** 2 * start - t**2 * (1 - t) * end


def path(observation: Array, states: Array) -> Array:
    """States [H+1, 29] as poses (x, y, yaw) [H+1, 3] in the robot's frame at the first of them.

    The hazards stand still: the robot has moved by as much as they are said to have.
    """
    state = torch.as_tensor(states)
    hazards = state[:, HAZARD_POSITIONS].unflatten(-1, (HAZARDS, 2)).mean(dim=1)
    sensors = state[:1, :GOAL].expand(len(state), GOAL)
    place = _turned(hazards[:1] - hazards, sensors, back=True)
    field_x, field_y = state[:, FIELD].unbind(-1)
    turn = torch.complex(-field_y, -field_x)  # by the robot's heading
    yaw = (turn * turn[0].conj()).angle()
    return torch.cat((place, yaw.unsqueeze(-1)), dim=-1).double().numpy()


def around(observation: Array) -> tuple[Circle, ...]:
    """Goal, vase and hazards of an observation [26], as seen from the robot."""
    goal, vase, *hazards = observation[GOAL : len(LABELS)].reshape(-1, 2).tolist()
    return (
        Circle(GOAL_RADIUS, goal[0], goal[1], goal=True),
        Circle(VASE_RADIUS, vase[0], vase[1]),
        *(Circle(HAZARD_RADIUS, x, y, limit=True) for x, y in hazards),
    )


def metrics(observation: Array) -> dict[str, float]:
    """Distances to the goal and to the middle of the nearest hazard (m), speed (m/s)."""
    hazards = observation[HAZARD_POSITIONS].reshape(HAZARDS, 2)
    return {
        'goal': float(np.hypot(*observation[GOAL : GOAL + 2])),
        'hazard': float(np.hypot(hazards[:, 0], hazards[:, 1]).min()),
        'speed': float(np.hypot(observation[0], observation[1])),
    }


def _task(
    robot: str,
    actions: tuple[str, str],
    interfaces: tuple[str, str],
) -> Task:
    return Task(
        name=f'{robot}Goal1',
        observation_labels=LABELS,
        action_labels=actions,
        action_interfaces=interfaces,
        action_low=(-1.0, -1.0),
        action_high=(1.0, 1.0),
        control_period=CONTROL_PERIODS[robot],
        max_episode_steps=SIMULATION_STEPS // ACTION_REPEAT,
        safe_command=(0.0, 0.0),
        default_d0=0.0,
        state_dim=len(LABELS) + 3,
        encode=encode,
        metrics=metrics,
        cost=cost,
        predictable_next_state=predictable_next_state,
        goal_resampled=goal_resampled,
        reward=functools.partial(reward, period=CONTROL_PERIODS[robot]),
        path=path,
        profile='safety_gym',
        drawing=Drawing(around=around, follows_robot=True, robot=(0.25, 0.2)),
        environment=functools.partial(SafetyGoal, robot),
    )


TASKS = {
    'PointGoal1': _task('Point', ('forward', 'turn'), ('effort', 'velocity')),
    'CarGoal1': _task('Car', ('left_wheel', 'right_wheel'), ('effort', 'effort')),
}
