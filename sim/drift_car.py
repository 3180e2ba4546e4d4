# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The RC car that drifts round a circle (paper, section 6.3 and Fig. 6), for gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from loop_ros.sim import bicycle, drift_car_picture
from loop_ros.sim.drawing import Circle, Curve, Drawing
from loop_ros.sim.task import Task
from loop_ros.types import Array

RADIUS = 1.0  # m, the line to follow
LIMIT_RADIUS = 1.2  # m, outside costs 1 a step
TARGET_VELOCITY = 3.5  # m/s; beyond what grip driving can hold on this radius
CONTROL_PERIOD = 0.035  # s
EPISODE_STEPS = 100
ACTION_LOW = np.array([0.0, -np.pi / 6])
ACTION_HIGH = np.array([10.0, np.pi / 6])


class DriftCar(gymnasium.Env[Array, Array]):
    """Follow the circle counter-clockwise at `target_velocity` m/s without leaving 1.2 m.

    Observation [6]: x, y (m), yaw (rad), v_x, v_y (m/s, body frame), yaw rate (rad/s).
    Action [2]: wheel speed 0..10 m/s, steering -pi/6..pi/6 rad.
    Reward -|R-1| - 0.25 (v - v*)^2 - 0.25 max(0, |theta| - pi/2)^2, theta the heading error;
    info['cost'] is 1 where R > 1.2 m, else 0. Episodes are truncated after 100 steps of 35 ms.
    """

    metadata = {'render_modes': ['rgb_array']}
    observation_space: gymnasium.Space[Array]
    action_space: gymnasium.Space[Array]

    def __init__(
        self,
        target_velocity: float = TARGET_VELOCITY,
        render_mode: str | None = None,
        friction: float = 1.0,
        mass: float = 1.0,
    ) -> None:
        """`friction` and `mass` are factors on those of the car (`CarParameters.scaled`)."""
        self.target_velocity = target_velocity
        self.render_mode = render_mode
        self.car = bicycle.CarParameters().scaled(friction, mass)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (6,), np.float64)
        self.action_space = gymnasium.spaces.Box(ACTION_LOW, ACTION_HIGH, dtype=np.float64)
        self._state = np.zeros(6)
        self._steps = 0
        self._driven: list[tuple[float, float]] = []  # m, where the episode has been

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Place the car near the line; options {'state': [6]} places it exactly."""
        super().reset(seed=seed)
        rng = self.np_random
        angle = rng.uniform(-np.pi, np.pi)
        radius = RADIUS + rng.uniform(-0.1, 0.1)
        heading = angle + np.pi / 2 + rng.uniform(-0.4, 0.4)
        velocity = rng.uniform((0.0, -0.3, -1.0), (2.0, 0.3, 1.0))
        self._state = np.array([radius * np.cos(angle), radius * np.sin(angle), heading, *velocity])
        if options and 'state' in options:
            self._state = np.array(options['state'], dtype=np.float64)
        self._steps = 0
        self._driven = [self._position()]
        return self._state.copy(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold `action` (clipped to its limits) for one control period."""
        action = np.clip(np.asarray(action, dtype=np.float64), ACTION_LOW, ACTION_HIGH)
        self._state = bicycle.step(self._state, action, CONTROL_PERIOD, self.car)
        self._driven.append(self._position())
        self._steps += 1
        truncated = self._steps >= EPISODE_STEPS
        return (
            self._state.copy(),
            float(reward(self._state, self.target_velocity)),
            False,
            truncated,
            {'cost': float(np.hypot(self._state[0], self._state[1]) > LIMIT_RADIUS)},
        )

    def predict(self, observation: Array, action: Array) -> tuple[Array, Array]:
        """Where actions [B, 2] lead from observations [B, 6], and the rewards [B] of it."""
        following = bicycle.step(observation, action, CONTROL_PERIOD, self.car)
        return following, reward(following, self.target_velocity)

    def render(self) -> Any:
        """The car from above, as pixels [480, 480, 3]; None without render_mode 'rgb_array'."""
        if self.render_mode != 'rgb_array':
            return None
        return drift_car_picture.draw(self._state, self._driven, RADIUS, LIMIT_RADIUS)

    def _position(self) -> tuple[float, float]:
        return float(self._state[0]), float(self._state[1])


def heading_error(observation: Array) -> Array:
    """Yaw relative to the circle's counter-clockwise tangent, in [-pi, pi); [..., 6] -> [...]."""
    x, y, yaw = observation[..., 0], observation[..., 1], observation[..., 2]
    error = yaw - np.arctan2(y, x) - np.pi / 2
    return (error + np.pi) % (2 * np.pi) - np.pi


def reward(observation: Array, target_velocity: float = TARGET_VELOCITY) -> Array:
    """The task's reward of a step to an observation, [..., 6] -> [...]."""
    deviation = np.abs(np.hypot(observation[..., 0], observation[..., 1]) - RADIUS)
    speed = np.hypot(observation[..., 3], observation[..., 4])
    backwards = np.maximum(0.0, np.abs(heading_error(observation)) - np.pi / 2)
    return -deviation - 0.25 * (speed - target_velocity) ** 2 - 0.25 * backwards**2


def transition_reward(observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
    """`reward` of what a step led to, for the task's own target velocity; [..., 6] -> [...]."""
    deviation, sine, cosine, v_x, v_y, _ = encode(next_observation).unbind(-1)
    backwards = (torch.atan2(sine, cosine).abs() - torch.pi / 2).clamp(min=0.0)
    speed = torch.hypot(v_x, v_y)
    return -deviation.abs() - 0.25 * (speed - TARGET_VELOCITY) ** 2 - 0.25 * backwards**2


def encode(observation: Tensor) -> Tensor:
    """Path coordinates: radial deviation, sin and cos of heading error, v_x, v_y, yaw rate.

    The circle looks the same from everywhere on it, so where on it the car is carries nothing.
    """
    x, y, yaw, v_x, v_y, yaw_rate = observation.unbind(-1)
    error = yaw - torch.atan2(y, x) - torch.pi / 2
    deviation = torch.hypot(x, y) - RADIUS
    return torch.stack((deviation, torch.sin(error), torch.cos(error), v_x, v_y, yaw_rate), -1)


def decode(state: Tensor) -> Tensor:
    """The observation of a state on the x axis; [..., 6] -> [..., 6]."""
    deviation, sine, cosine, v_x, v_y, yaw_rate = state.unbind(-1)
    yaw = torch.atan2(sine, cosine) + torch.pi / 2
    # A car that is nearer to the middle than the deviation can say does not exist.
    x = (deviation + RADIUS).clamp(min=0.0)
    return torch.stack((x, torch.zeros_like(x), yaw, v_x, v_y, yaw_rate), -1)


def cost(state: Tensor) -> Tensor:
    """1 where the car is outside the limit circle, else 0; [..., 6] -> [...]."""
    return (state[..., 0] > LIMIT_RADIUS - RADIUS).to(state.dtype)


def path(observation: Array, states: Array) -> Array:
    """Predicted states [H+1, 6] as poses (x, y, yaw) [H+1, 3] in the odom frame."""
    radius = RADIUS + states[:, 0]
    error = np.arctan2(states[:, 1], states[:, 2])
    tangential = states[:, 3] * np.cos(error) - states[:, 4] * np.sin(error)
    rate = tangential / np.maximum(radius, 0.1)
    steps = 0.5 * CONTROL_PERIOD * (rate[1:] + rate[:-1])
    angle = np.arctan2(observation[1], observation[0]) + np.concatenate(([0.0], np.cumsum(steps)))
    return np.stack(
        (radius * np.cos(angle), radius * np.sin(angle), angle + np.pi / 2 + error), axis=-1
    )


def metrics(observation: Array) -> dict[str, float]:
    """Speed (m/s), slip angle (rad) and radius (m), for people."""
    x, y, _, v_x, v_y, _ = observation.tolist()
    return {
        'speed': float(np.hypot(v_x, v_y)),
        'slip': float(abs(np.arctan2(v_y, v_x))),
        'radius': float(np.hypot(x, y)),
    }


TASK = Task(
    name='drift_car',
    observation_labels=('x', 'y', 'yaw', 'v_x', 'v_y', 'yaw_rate'),
    action_labels=('wheel_speed', 'steering'),
    action_interfaces=('velocity', 'position'),
    action_low=tuple(ACTION_LOW.tolist()),
    action_high=tuple(ACTION_HIGH.tolist()),
    control_period=CONTROL_PERIOD,
    max_episode_steps=EPISODE_STEPS,
    safe_command=(0.0, 0.0),
    default_d0=0.2,
    state_dim=6,
    encode=encode,
    decode=decode,
    metrics=metrics,
    cost=cost,
    cost_is_exact=True,
    path=path,
    reward=transition_reward,
    odometry=True,
    profile='drift_car',
    environment=DriftCar,
    drawing=Drawing(
        circles=(Circle(LIMIT_RADIUS, limit=True), Circle(RADIUS)),
        robot=(drift_car_picture.LENGTH, drift_car_picture.WIDTH),
        curves=(
            Curve('speed', 'm/s'),
            Curve('slip', 'rad', colours=(0.0, 1.2)),
            Curve('radius', 'm', limit=LIMIT_RADIUS),
        ),
    ),
)
