# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A differential drive that goes to a goal, as a task and as a robot file."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace as Message
from typing import Any

from torch import Tensor

from loop_ros.sim.task import Task

PERIOD = 0.1  # s
LABELS = ('x', 'y', 'yaw', 'goal_x', 'goal_y', 'beam_0', 'beam_1', 'beam_2')


def encode(observation: Tensor) -> Tensor:
    return observation[..., 3:]


def reward(observation: Tensor, action: Tensor, next_observation: Tensor) -> Tensor:
    """How much nearer the goal came, m."""
    before, after = (o[..., 3:5].norm(dim=-1) for o in (observation, next_observation))
    return before - after


def cost(state: Tensor) -> Tensor:
    return (state[..., 2:].amin(dim=-1) < 0.3).to(state.dtype)


def reached(state: Tensor) -> Tensor:
    return state[..., :2].norm(dim=-1) < 0.1


TASK = Task(
    name='rover',
    observation_labels=LABELS,
    action_labels=('speed', 'turn'),
    action_interfaces=('velocity', 'velocity'),
    action_low=(-0.5, -2.0),
    action_high=(1.0, 2.0),
    control_period=PERIOD,
    max_episode_steps=20,
    safe_command=(0.0, 0.0),
    default_d0=0.0,
    state_dim=5,
    encode=encode,
    metrics=lambda observation: {'distance': math.hypot(observation[3], observation[4])},
    reward=reward,
    cost=cost,
    termination=reached,
)

ROBOT = """
task: rover:TASK
inputs:
  odom:
    topic: /odom
    type: nav_msgs/msg/Odometry
    max_age: 0.15
    frame: odom
    child_frame: base_link
  goal: {topic: /goal_pose, type: geometry_msgs/msg/PoseStamped}
  scan: {topic: /scan, type: sensor_msgs/msg/LaserScan, max_age: 0.5}
observation:
  x: {input: odom, field: pose.pose.position.x, min: -100, max: 100}
  y: {input: odom, field: pose.pose.position.y}
  yaw: {input: odom, field: pose.pose.orientation.yaw}
  goal_x: {input: goal, field: x, relative_to: odom}
  goal_y: {input: goal, field: y, relative_to: odom}
  beam_*: {input: scan, sectors: 3, from: -1.5, to: 1.5, farthest: 5.0}
command:
  topic: /cmd_vel
  type: geometry_msgs/msg/Twist
  rate: 50.0
  fields:
    speed: {field: linear.x}
    turn: {field: angular.z}
takeover:
  topic: /joy
  type: sensor_msgs/msg/Joy
  deadman: buttons[4]
  timeout: 0.3
  blend: 0.5
  fields: {speed: {field: 'axes[1]', scale: 2.0}, turn: {field: 'axes[3]', scale: 0.5}}
episode: {start: operator, settle: 1.0}
"""


def robot_file(folder: Path, **changes: str) -> Path:
    """The robot file, with sections replaced by other text."""
    sections = dict[str, str]()
    for line in ROBOT.strip().splitlines():
        if not line.startswith(' '):
            key = line.partition(':')[0]
            sections[key] = ''
        sections[key] += line + '\n'
    sections.update({key: f'{key}: {text}\n' for key, text in changes.items()})
    path = folder / 'robot.yaml'
    path.write_text(''.join(sections.values()))
    return path


def odometry(x: float = 0.0, y: float = 0.0, yaw: float = 0.0, frame: str = 'odom') -> Any:
    position = Message(x=x, y=y, z=0.0)
    orientation = Message(x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2))
    return Message(
        header=Message(frame_id=frame),
        child_frame_id='base_link',
        pose=Message(pose=Message(position=position, orientation=orientation)),
    )


def goal(x: float = 3.0, y: float = 0.0, frame: str = 'odom') -> Any:
    found = odometry(x, y)
    return Message(header=Message(frame_id=frame), pose=found.pose.pose)


def scan(ranges: list[float]) -> Any:
    """From -1.5 to 1.5 rad."""
    return Message(
        ranges=ranges,
        angle_min=-1.5,
        angle_increment=3.0 / max(1, len(ranges) - 1) * 0.999,
        range_min=0.05,
        range_max=30.0,
    )


def joy(speed: float = 0.0, turn: float = 0.0, held: bool = True) -> Any:
    return Message(axes=[0.0, speed, 0.0, turn], buttons=[0, 0, 0, 0, int(held)])
