# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator: a differential drive among obstacles, and goals for it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import irsim
import numpy as np
from shapely import Point

STEP = 0.05  # s, of world.yaml
ROOM = 4.5  # m, half a side of the square that goals are in
TOUCHING = 0.22  # m from the middle of the robot, whose radius is 0.2
GOAL_CLEARANCE = 0.6  # m
GOAL_DISTANCE = (2.0, 6.0)  # m from the robot


class World:
    """Steps of 0.05 s; poses are (x, y, yaw) in m and rad."""

    def __init__(self) -> None:
        self._sim = irsim.make(
            str(Path(__file__).parent / 'config' / 'world.yaml'), headless=True, log_level='ERROR'
        )
        self.robot = self._sim.robot
        self.random = np.random.default_rng()
        self.goal = np.zeros(2)
        self.reset()

    @property
    def pose(self) -> np.ndarray:
        """Of the robot."""
        return self.robot.state[:3, 0]

    @property
    def velocity(self) -> np.ndarray:
        """Forward (m/s) and turn rate (rad/s)."""
        return self.robot.velocity[:2, 0]

    def scan(self) -> dict[str, Any]:
        """The lidar's ranges and angles, by the names of sensor_msgs/LaserScan."""
        return self._sim.get_lidar_scan()

    def step(self, speed: float, turn: float) -> None:
        """Drive on for 0.05 s at a forward speed (m/s) and a turn rate (rad/s)."""
        self._sim.step([float(speed), float(turn)])
        self.robot.trajectory.clear()  # or it grows with every step

    def reset(self) -> None:
        """Set a new goal; a robot that touches something is put elsewhere, as a person would."""
        if self.scan()['ranges'].min() < TOUCHING:
            self.place()
        near, far = GOAL_DISTANCE
        while True:
            self.goal = self.random.uniform(-ROOM, ROOM, 2)
            away = math.dist(self.goal, self.pose[:2])
            if near < away < far and self.clearance(self.goal) > GOAL_CLEARANCE:
                return

    def place(self) -> None:
        """Put the robot somewhere else, standing."""
        while True:
            spot = self.random.uniform(-ROOM, ROOM, 2)
            if self.clearance(spot) > GOAL_CLEARANCE:
                break
        self._sim.reset()
        yaw = self.random.uniform(-math.pi, math.pi)
        self.robot.set_state([*spot, yaw])
        self._sim.refresh()

    def clearance(self, spot: np.ndarray) -> float:
        """Distance (m) of a spot from the nearest obstacle."""
        return min(body.geometry.distance(Point(spot)) for body in self._sim.obstacle_list)
