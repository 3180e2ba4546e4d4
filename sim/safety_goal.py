# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The goal task of safety-gymnasium, with the observation of the paper's released code.

A robot drives to a goal, which then appears elsewhere, round 8 hazards that cost and past a vase
that does not. The observation holds exact positions in the robot's frame instead of lidar bins.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from loop_ros.sim import safety_gym_compat
from loop_ros.sim.task import simulators
from loop_ros.types import Array

ACTION_REPEAT = 5  # simulation steps in an agent step
SIMULATION_STEPS = 1000  # in an episode
CONTROL_PERIODS = {'Point': 0.1, 'Car': 0.2}  # s, of an agent step
GOAL_RADIUS = 0.3  # m
HAZARD_RADIUS = 0.2  # m; inside costs 1 a simulation step
HAZARDS = 8
SENSORS = (('velocimeter', slice(2)), ('magnetometer', slice(3)), ('gyro', slice(2, 3)))
BODIES = ('goal', 'vase0', *(f'hazard{i}' for i in range(HAZARDS)))
LABELS = (
    *('v_x', 'v_y', 'field_x', 'field_y', 'field_z', 'yaw_rate'),
    *('goal_x', 'goal_y', 'vase_x', 'vase_y'),
    *(f'hazard{i}_{axis}' for i in range(HAZARDS) for axis in 'xy'),
)
CAMERA = {'lookat': (0.0, 0.0, 0.0), 'distance': 5.0, 'azimuth': 90.0, 'elevation': -65.0}
PICTURE_SIZE = (480, 480)


class SafetyGoal(gymnasium.Env[Array, Array]):
    """Drive to the goal round the hazards; an agent step is 5 steps of safety-gymnasium.

    Observation [26]: v_x, v_y (m/s), magnetic field (3), yaw rate (rad/s), then goal, vase and 8
    hazards as x, y (m), all in the robot's frame. Positions are turned by the robot's yaw only, so
    that their lengths are the distances over ground by which the simulation counts.
    Action [2] in [-1, 1]. Reward (metres gained towards the goal, 1 for reaching it) and
    info['cost'] (0 or 1 a simulation step) are the simulation's own, summed over the 5 steps.
    """

    metadata: dict[str, Any] = {'render_modes': ['human', 'rgb_array']}
    observation_space: gymnasium.Space[Array]
    action_space: gymnasium.Space[Array]

    def __init__(
        self, robot: str, render_mode: str | None = None, friction: float = 1.0, mass: float = 1.0
    ) -> None:
        """Make the simulation of 'Point' or 'Car'.

        `friction` is a factor on the friction of all surfaces and on the damping of the robot's
        joints, which is what holds the point robot back; `mass` on the robot's mass and inertia.
        """
        with simulators(f'{robot}Goal1'):
            self.world = safety_gym_compat.make_world(robot, 'Goal1')
        self.world.task.obs = lambda: None  # 4 lidars a simulation step that nobody reads
        self.render_mode = render_mode
        self._friction, self._mass = friction, mass
        self.metadata = {**self.metadata, 'render_fps': round(1.0 / CONTROL_PERIODS[robot])}
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(LABELS),), np.float64)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
        self._viewer: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Draw a new layout."""
        super().reset(seed=seed)
        self.world.reset(seed=seed)
        self._scale(self.world.task.model, self.world.task.data)
        if self._viewer is not None:  # the simulation has made a new model
            self._viewer.model, self._viewer.data = self.world.task.model, self.world.task.data
        return self._observation(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold `action` (clipped to its limits) for 5 simulation steps."""
        action = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)
        reward = cost = 0.0
        for _ in range(ACTION_REPEAT):
            _, gained, charged, unplaceable, over, _ = self.world.step(action)
            reward, cost = reward + gained, cost + charged
            if unplaceable or over:  # no free place for a new goal: nothing that the robot did
                break
        if self.render_mode == 'human':
            self.render()
        return self._observation(), float(reward), False, unplaceable or over, {'cost': float(cost)}

    def render(self) -> Any:
        """Show the arena from above in a window, or return it as pixels [height, width, 3]."""
        if self._viewer is None:
            self._viewer = self._make_viewer()
        if self.render_mode == 'human':
            return self._viewer.render()
        return self._viewer.render(self.render_mode, camera_id=-1)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._viewer is not None:
            self._viewer.close()
            self._viewer = None

    def _scale(self, model: Any, data: Any) -> None:
        """Let the factors into a new model, as each reset does."""
        if self._friction == self._mass == 1.0:
            return
        import mujoco

        own = model.body_rootid == model.body('agent').rootid
        model.geom_friction[:] *= self._friction
        model.dof_damping[own[model.dof_bodyid]] *= self._friction
        model.body_mass[own] *= self._mass
        model.body_inertia[own] *= self._mass
        mujoco.mj_setConst(model, mujoco.MjData(model))  # it would put `data` into its first pose
        mujoco.mj_forward(model, data)

    def _make_viewer(self) -> Any:
        from gymnasium.envs.mujoco import mujoco_rendering

        human = self.render_mode == 'human'
        kind = mujoco_rendering.WindowViewer if human else mujoco_rendering.OffScreenViewer
        viewer = kind(self.world.task.model, self.world.task.data, *PICTURE_SIZE)
        viewer.vopt.geomgroup[:] = 1  # goal, hazards and vase are in groups not shown otherwise
        for name, value in CAMERA.items():
            setattr(viewer.cam, name, value)
        return viewer

    def _observation(self) -> Array:
        data = self.world.task.data
        sensed = [data.sensor(name).data[entries] for name, entries in SENSORS]
        robot = data.body('agent')
        cosine, sine = robot.xmat[0], robot.xmat[3]
        heading = np.array([[cosine, -sine], [sine, cosine]]) / np.hypot(cosine, sine)
        positions = np.stack([data.body(name).xpos[:2] for name in BODIES])
        return np.concatenate((*sensed, ((positions - robot.xpos[:2]) @ heading).ravel()))
