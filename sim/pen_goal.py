# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PenGoal-v1 (paper, appendix C.2): a hand turns a pen, with goals from a narrow range.

The hand, the pen and the reward are those of AdroitHandPen-v1 of gymnasium-robotics. As in the
original Pen that the paper modified, an episode ends when the pen falls, which
gymnasium-robotics leaves out.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import gymnasium
import numpy as np
from torch import Tensor

from loop_ros.sim.task import Task, simulators
from loop_ros.types import Array

GOAL_ANGLES = (0.7, 0.7)  # rad, mean of the two angles of the goal orientation
GOAL_STD = 0.1  # rad
DROPPED_HEIGHT = 0.075  # m, of the pen's middle
EPISODE_STEPS = 200  # AdroitHandPen-v1; the original Pen has 100
CONTROL_PERIOD = 0.01  # s, 5 simulation steps
HAND_JOINTS = {  # range of the position commands (rad)
    'WRJ1': (-0.524, 0.175),
    'WRJ0': (-0.79, 0.61),
    **{'FFJ3': (-0.44, 0.44), 'FFJ2': (0.0, 1.6), 'FFJ1': (0.0, 1.6), 'FFJ0': (0.0, 1.6)},
    **{'MFJ3': (-0.44, 0.44), 'MFJ2': (0.0, 1.6), 'MFJ1': (0.0, 1.6), 'MFJ0': (0.0, 1.6)},
    **{'RFJ3': (-0.44, 0.44), 'RFJ2': (0.0, 1.6), 'RFJ1': (0.0, 1.6), 'RFJ0': (0.0, 1.6)},
    'LFJ4': (0.0, 0.7),
    **{'LFJ3': (-0.44, 0.44), 'LFJ2': (0.0, 1.6), 'LFJ1': (0.0, 1.6), 'LFJ0': (0.0, 1.6)},
    **{'THJ4': (-1.0, 1.0), 'THJ3': (0.0, 1.3), 'THJ2': (-0.26, 0.26)},
    **{'THJ1': (-0.52, 0.52), 'THJ0': (-1.571, 0.0)},
}
STATE_LABELS = (
    *HAND_JOINTS,
    *('pen_x', 'pen_y', 'pen_z'),
    *(f'OBJ{kind}{axis}_velocity' for kind in 'TR' for axis in 'xyz'),
    *('pen_axis_x', 'pen_axis_y', 'pen_axis_z', 'goal_axis_x', 'goal_axis_y', 'goal_axis_z'),
)
# Differences of the numbers above among themselves and from the goal's place, which is fixed.
DIFFERENCE_LABELS = tuple(f'{of}_error_{axis}' for of in ('pen', 'axis') for axis in 'xyz')
LABELS = STATE_LABELS + DIFFERENCE_LABELS
PEN_Z = LABELS.index('pen_z')
AXIS = slice(LABELS.index('pen_axis_x'), LABELS.index('goal_axis_x'))
GOAL_AXIS = slice(LABELS.index('goal_axis_x'), len(STATE_LABELS))
OFFSET = slice(LABELS.index('pen_error_x'), LABELS.index('axis_error_x'))


class PenGoal(gymnasium.Env[Array, Array]):
    """Turn the pen in the hand until its axis is that of the goal.

    Observation [45]: 24 joint angles (rad), the pen's position (m), the velocities of its three
    slides and three hinges (m/s, rad/s; at the start the first of each points down and the last
    along the pen), its axis and the goal's axis (unit vectors), and the differences to the goal.
    Action [24]: joint angles to hold (rad). Reward -d + a, with d (m) the distance to the goal's
    place and a the cosine between the axes; 10 more where d < 0.075 and a > 0.9, another 50 where
    a > 0.95; 5 less for a dropped pen, which ends the episode. info['cost'] is 0.
    """

    metadata = {'render_modes': ['human', 'rgb_array'], 'render_fps': 100}
    observation_space: gymnasium.Space[Array]
    action_space: gymnasium.Space[Array]

    def __init__(self, render_mode: str | None = None) -> None:
        # On import the package prints a notice about other tasks.
        with simulators(TASK.name), contextlib.redirect_stderr(io.StringIO()):
            from gymnasium_robotics.envs.adroit_hand.adroit_pen import AdroitHandPenEnv
            from gymnasium_robotics.utils.rotations import euler2quat
        self.world = AdroitHandPenEnv(render_mode=render_mode)
        self.render_mode = render_mode
        self._quaternion = euler2quat
        low, high = np.array(TASK.action_low), np.array(TASK.action_high)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(LABELS),), np.float64)
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float64)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Lay the pen into the open hand and draw a goal."""
        super().reset(seed=seed)
        # At a goal of its own the simulation measures the pen, which decides on last digits.
        self.world.np_random = self.np_random
        angles = self.np_random.normal(GOAL_ANGLES, GOAL_STD)
        start = {
            'qpos': self.world.init_qpos,
            'qvel': self.world.init_qvel,
            'desired_orien': self._quaternion(np.array([*angles, 0.0])),
        }
        observation, _ = self.world.reset(options={'initial_state_dict': start})
        self._steps = 0
        return observation, {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Command the angles `action` (clipped to their limits) for one control period."""
        action = np.clip(np.asarray(action, np.float64), TASK.action_low, TASK.action_high)
        observation, reward, _, _, info = self.world.step(TASK.normalize_action(action))
        self._steps += 1
        return (
            observation,
            float(reward),
            bool(observation[PEN_Z] < DROPPED_HEIGHT),
            self._steps >= EPISODE_STEPS,
            {'success': bool(info['success']), 'cost': 0.0},
        )

    def render(self) -> Any:
        """Show the hand, or return it as pixels [height, width, 3]."""
        return self.world.render()

    def close(self) -> None:
        """Close the window, if there is one."""
        self.world.close()


def encode(observation: Tensor) -> Tensor:
    """The observation without the differences, which follow from it; [..., 45] -> [..., 39]."""
    return observation[..., : len(STATE_LABELS)]


def termination(state: Tensor) -> Tensor:
    """Where the pen has been dropped; [..., 39] -> [...] bool."""
    dropped: Tensor = state[..., PEN_Z] < DROPPED_HEIGHT
    return dropped


def metrics(observation: Array) -> dict[str, float]:
    """Angle between the pen's and the goal's axis (rad), and its distance from its place (m)."""
    cosine = np.clip(observation[AXIS] @ observation[GOAL_AXIS], -1.0, 1.0)
    return {
        'orientation_error': float(np.arccos(cosine)),
        'distance': float(np.linalg.norm(observation[OFFSET])),
    }


TASK = Task(
    name='PenGoal-v1',
    observation_labels=LABELS,
    action_labels=tuple(HAND_JOINTS),
    action_interfaces=('position',) * len(HAND_JOINTS),
    action_low=tuple(low for low, _ in HAND_JOINTS.values()),
    action_high=tuple(high for _, high in HAND_JOINTS.values()),
    control_period=CONTROL_PERIOD,
    max_episode_steps=EPISODE_STEPS,
    safe_command=(0.0,) * len(HAND_JOINTS),  # the open hand of the start, in which the pen rests
    default_d0=0.0,
    state_dim=len(STATE_LABELS),
    encode=encode,
    metrics=metrics,
    termination=termination,
    profile='mujoco',
    environment=PenGoal,
)
