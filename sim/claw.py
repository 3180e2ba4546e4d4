# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Claw-v1: the D'Claw robot turns a valve to an angle, as in Nagabandi et al. (arXiv:1909.11652).

The robot and the valve are the model files of the package robel, which is located but never
imported: it asks for mujoco-py. Observation, limits, starts, goals and reward are those of the
task that Nagabandi et al. published and that the paper ran; robel's own turning task (other
starts and goals, no velocities in its observation) lends its reward on request.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gymnasium
import numpy as np
import torch
from torch import Tensor

from loop_ros.sim.task import Task, simulators
from loop_ros.types import Array

CONTROL_PERIOD = 0.1  # s
SIMULATION_STEPS = 40  # of 2.5 ms in a control period
EPISODE_STEPS = 500
JOINTS = ('FFJ10', 'FFJ11', 'FFJ12', 'MFJ20', 'MFJ21', 'MFJ22', 'THJ30', 'THJ31', 'THJ32')
VALVE = 'valve_OBJRx'
LIMIT = (0.48, 1.57, 1.57) * 3  # rad, of the position commands
MAX_VELOCITY = 5.0  # rad/s; a command further away is approached at this speed
START_POSE = (0.0, -1.0, 1.35) * 3  # rad
START_VALVE = np.pi / 4  # rad, largest angle of the valve at the start
GOAL = (np.pi / 2, np.pi)  # rad, range of the goal, to either side
SMALL_ERROR, TINY_ERROR = 0.25, 0.1  # rad, below which there is a bonus
LABELS = (*JOINTS, *(f'{joint}_velocity' for joint in JOINTS), VALVE, f'{VALVE}_velocity', 'goal')
MODEL = Path('dclaw', 'assets', 'dclaw3xh_valve3_v0.xml')
MESHES = Path('robel-scenes', 'dclaw')
MISSING = (
    "task 'Claw-v1' needs the model files of the package robel, which pip 24.1 and newer refuse: "
    "python -m pip install 'pip<24.1' && python -m pip install --no-deps robel==0.1.2"
)


class Claw(gymnasium.Env[Array, Array]):
    """Turn the valve to the goal with three fingers of three joints.

    Observation [21]: joint angles (9, rad) and velocities (9, rad/s), angle and velocity of the
    valve, and the goal (rad). Action [9]: joint angles to hold (rad), approached at no more than
    5 rad/s. `reward` is 'nagabandi' or 'robel'. info['cost'] is 0; episodes are truncated after
    500 steps of 0.1 s.
    """

    metadata = {'render_modes': ['human', 'rgb_array'], 'render_fps': 10}
    observation_space: gymnasium.Space[Array]
    action_space: gymnasium.Space[Array]

    def __init__(self, reward: str = 'nagabandi', render_mode: str | None = None) -> None:
        if reward not in REWARDS:
            raise ValueError(f"unknown reward '{reward}'; choose one of: {', '.join(REWARDS)}")
        with simulators(TASK.name):
            import mujoco
        self._mujoco = mujoco
        self.model = mujoco.MjModel.from_xml_string(_description(_robel()))
        self.data = mujoco.MjData(self.model)
        self.render_mode = render_mode
        self._reward = REWARDS[reward]
        joints = [self.model.joint(name) for name in (*JOINTS, VALVE)]
        self._positions = [joint.qposadr[0] for joint in joints]
        self._velocities = [joint.dofadr[0] for joint in joints]
        low, high = np.array(TASK.action_low), np.array(TASK.action_high)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(LABELS),), np.float64)
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float64)
        self._goal = 0.0
        self._steps = 0
        self._renderer: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Put the fingers into their start pose, and draw the valve's angle and the goal."""
        super().reset(seed=seed)
        self._goal = self.np_random.uniform(*GOAL) * self.np_random.choice((-1.0, 1.0))
        valve = self.np_random.uniform(-START_VALVE, START_VALVE)
        self._mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._positions] = (*START_POSE, valve)
        half = self._goal / 2
        self.model.body('target').quat = (np.cos(half), 0.0, 0.0, np.sin(half))  # the green mark
        self._mujoco.mj_forward(self.model, self.data)
        self._steps = 0
        return self._observation(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Command the angles `action` (clipped to their limits) for one control period."""
        action = np.clip(np.asarray(action, np.float64), TASK.action_low, TASK.action_high)
        here = self.data.qpos[self._positions[:-1]]
        reach = MAX_VELOCITY * CONTROL_PERIOD
        self.data.ctrl[:] = here + np.clip(action - here, -reach, reach)
        self._mujoco.mj_step(self.model, self.data, SIMULATION_STEPS)
        self._steps += 1
        if self.render_mode == 'human':
            self.render()
        observation = self._observation()
        truncated = self._steps >= EPISODE_STEPS
        return observation, float(self._reward(observation)), False, truncated, {'cost': 0.0}

    def render(self) -> Any:
        """Show claw and valve, or return them as pixels [height, width, 3]."""
        if self._renderer is None:
            from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

            view = {'distance': 0.7, 'azimuth': 140.0, 'elevation': -50.0}
            self._renderer = MujocoRenderer(
                self.model, self.data, default_cam_config=view, width=480, height=480
            )
        return self._renderer.render(self.render_mode)

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observation(self) -> Array:
        positions, velocities = self.data.qpos[self._positions], self.data.qvel[self._velocities]
        fingers = (positions[:-1], velocities[:-1])
        return np.concatenate((*fingers, (positions[-1], velocities[-1], self._goal)))


def _robel() -> Path:
    spec = importlib.util.find_spec('robel')
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(MISSING, name='robel')
    return Path(next(iter(spec.submodule_search_locations)))


def _description(package: Path) -> str:
    """The robot's model as one MJCF document, with the places of its meshes."""
    root = _expanded(package / MODEL)
    for compiler in root.iter('compiler'):
        if 'meshdir' in compiler.attrib:
            compiler.attrib.update(dict.fromkeys(('meshdir', 'texturedir'), str(package / MESHES)))
    return ElementTree.tostring(root, encoding='unicode')


def _expanded(path: Path) -> ElementTree.Element:
    """An MJCF file with its includes.

    The files have a comment before the XML declaration, which is not XML: MuJoCo 3 refuses them.
    """
    text = path.read_text(encoding='utf-8')
    root = ElementTree.fromstring(text[text.index('<?xml') :])
    for parent in list(root.iter()):
        for place, child in reversed(list(enumerate(parent))):
            if child.tag == 'include':
                parent[place : place + 1] = list(_expanded(path.parent / child.attrib['file']))
    return root


def valve_error(observation: Array) -> Array:
    """Angle from the valve to the goal, in [-pi, pi); [..., 21] -> [...]."""
    error: Array = observation[..., 20] - observation[..., 18]
    return (error + np.pi) % (2 * np.pi) - np.pi


def reward(observation: Array) -> Array:
    """The reward of Nagabandi et al. for the next state, [..., 21] -> [...].

    -10 |error|, with 2 below 0.25 rad and 20 below 0.1 rad: the published program, which the paper
    ran, writes its bonuses of 1 and 10 into one array and adds that twice.
    """
    error = np.abs(valve_error(observation))
    bonus = np.where(error < TINY_ERROR, 20.0, np.where(error < SMALL_ERROR, 2.0, 0.0))
    return -10.0 * error + bonus


def robel_reward(observation: Array) -> Array:
    """The reward of robel's DClawTurn tasks for the next state, [..., 21] -> [...]."""
    error = np.abs(valve_error(observation))
    pose = observation[..., :9] - np.array((0.0, -np.pi / 3, np.pi / 3) * 3)
    velocity = observation[..., 9:18]
    fast = np.where(np.abs(velocity) >= 0.5, velocity, 0.0)
    effort = np.linalg.norm(pose, axis=-1) + np.linalg.norm(fast, axis=-1)
    return -5.0 * error - effort + 10.0 * (error < SMALL_ERROR) + 50.0 * (error < TINY_ERROR)


REWARDS = {'nagabandi': reward, 'robel': robel_reward}


def encode(observation: Tensor) -> Tensor:
    """The observation with angles of the valve that do not jump at half a turn; [23] from [21].

    Angles and velocities of the joints (18), then cosine and sine of the valve's angle, its
    velocity, cosine and sine of the angle to the goal.
    """
    valve, velocity, goal = observation[..., 18:].unbind(-1)
    error = goal - valve
    turn = (valve.cos(), valve.sin(), velocity, error.cos(), error.sin())
    return torch.cat((observation[..., :18], torch.stack(turn, dim=-1)), dim=-1)


def metrics(observation: Array) -> dict[str, float]:
    """How far the valve is from the goal and its angle (rad), for people."""
    return {
        'valve_error': float(abs(valve_error(observation))),
        'valve_angle': float(observation[18]),
    }


TASK = Task(
    name='Claw-v1',
    observation_labels=LABELS,
    action_labels=JOINTS,
    action_interfaces=('position',) * len(JOINTS),
    action_low=tuple(-limit for limit in LIMIT),
    action_high=LIMIT,
    control_period=CONTROL_PERIOD,
    max_episode_steps=EPISODE_STEPS,
    safe_command=START_POSE,  # the fingers beside the valve
    default_d0=0.0,
    state_dim=len(LABELS) + 2,
    encode=encode,
    metrics=metrics,
    profile='mujoco',
    environment=Claw,
)
