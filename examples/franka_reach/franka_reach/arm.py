# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator: the Franka arm that gymnasium-robotics ships, on a table with a fixture on it."""

from __future__ import annotations

from pathlib import Path

import gymnasium_robotics
import mujoco
import numpy as np

ASSETS = Path(gymnasium_robotics.__file__).parent / 'envs/assets/kitchen_franka/franka_assets'
MODEL = f"""<mujoco model="franka">
  <include file="{ASSETS}/assets.xml"/>
  <include file="{ASSETS}/actuator.xml"/>
  <compiler angle="radian" inertiafromgeom="auto" inertiagrouprange="3 5"
    meshdir="{ASSETS}/meshes"/>
  <worldbody>
    <light pos="1 0 2" dir="-0.5 0 -1"/>
    <geom name="table" type="plane" size="2 2 0.1" rgba="0.8 0.8 0.75 1"/>
    <geom name="fixture" type="box" pos="0.5 0 0.1" size="0.25 0.03 0.1" rgba="0.3 0.4 0.7 1"/>
    <site name="goal" size="0.03" rgba="0.1 0.8 0.2 0.6"/>
    <body><include file="{ASSETS}/chain.xml"/></body>
  </worldbody>
</mujoco>"""
STEP = 0.002  # s, of the model
JOINTS = 7
HOME = np.array([0.0, -0.6, 0.0, -2.2, 0.0, 0.03, 0.8])  # rad
LOWEST_GOAL, HIGHEST_GOAL = np.array([0.35, 0.15, 0.15]), np.array([0.6, 0.4, 0.45])  # m
REACHED = 0.05  # m from its goal
MIDDLE = 0.1  # m; from there it goes to either side


class Arm:
    """Seven joints under a velocity controller at 500 Hz; goals are left and right in turns."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(MODEL)
        self.data = mujoco.MjData(self.model)
        self.random = np.random.default_rng()
        self.goal = np.zeros(3)
        self.home()
        self.reset()

    @property
    def positions(self) -> np.ndarray:
        """Of the joints and the two fingers, rad and m."""
        return self.data.qpos

    @property
    def velocities(self) -> np.ndarray:
        """Of the same."""
        return self.data.qvel

    @property
    def hand(self) -> np.ndarray:
        """Where the point between the fingers is, m."""
        return self.data.site('end_effector').xpos

    def step(self, velocities: np.ndarray) -> None:
        """Move the joints' targets on at `velocities` (rad/s) for 2 ms."""
        wanted = self.data.ctrl[:JOINTS] + STEP * np.asarray(velocities)
        low, high = self.model.jnt_range[:JOINTS].T
        self.data.ctrl[:JOINTS] = np.clip(wanted, low, high)
        mujoco.mj_step(self.model, self.data)

    def reset(self) -> None:
        """Set a new goal on the other side; an arm that has not reached the old one goes home."""
        if np.linalg.norm(self.goal - self.hand) > REACHED:
            self.home()
        side = -np.sign(self.hand[1]) if abs(self.hand[1]) > MIDDLE else self.random.choice((-1, 1))
        self.goal = self.random.uniform(LOWEST_GOAL, HIGHEST_GOAL) * (1.0, side, 1.0)
        self.model.site('goal').pos = self.goal

    def home(self) -> None:
        """Put the arm into its first pose."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:JOINTS] = self.data.ctrl[:JOINTS] = HOME
        mujoco.mj_forward(self.model, self.data)
