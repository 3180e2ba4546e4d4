# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the bridge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from loop_ros.nodes.parameters import declare, declare_clock
from loop_ros.sim import registry, told_apart
from loop_ros.sim.camera import REALTIME_SHARE, View
from loop_ros.sim.task import Task


@dataclass(frozen=True)
class BridgeParameters:
    """Which environment, on which clock, how long and for whom to wait, and what to show."""

    task: Task
    seed: int
    realtime: bool
    speed: float  # simulated seconds per second, at most; 0: as fast as it goes
    command_timeout: float  # s
    duration: float  # s; 0: never
    transition_listeners: int
    view: View
    images: bool

    @classmethod
    def declare(cls, node: Node) -> BridgeParameters:
        """Declare them on a node; ValueError where they do not fit together."""
        realtime, speed = declare_clock(node)
        return cls(
            task=_declare_task(node),
            seed=declare(node, 'seed', 0, 'episode e starts from the seed seed + e', minimum=0),
            realtime=realtime,
            speed=speed,
            command_timeout=declare(
                node,
                'command_timeout',
                0.5,
                'without a command for so long: realtime takes the safe command, lockstep warns',
                minimum=0.01,
                maximum=3600,
                unit='s',
            ),
            duration=declare(
                node,
                'duration',
                0.0,
                'end after so long on the wall clock; 0: never',
                minimum=0,
                maximum=1e9,
                unit='s',
            ),
            transition_listeners=declare(
                node,
                'transition_listeners',
                0,
                'begin only when so many (learner, recorder) subscribe to the topic transition',
                minimum=0,
                maximum=100,
            ),
            view=_declare_view(node, realtime),
            images=declare(
                node,
                'images',
                False,
                'publish pictures of the simulation on image/compressed while somebody subscribes',
            ),
        )


def _declare_task(node: Node) -> Task:
    """On the robot that is asked for, which may differ from the task's own."""
    name = declare(node, 'task', 'drift_car', 'robot and job: a name, or package.module:TASK')
    disturbances = declare(
        node,
        'disturb',
        'none',
        'how the robot differs from the one of the task: friction=F, mass=F, delay=STEPS or '
        'noise=F, several with + between them (loop-ros calibrate --help)',
    )
    number = declare(
        node,
        'robot_number',
        1,
        'number of this robot, where the task tells robots apart (as drift_car@4 does four)',
        minimum=0,
        maximum=told_apart.MOST,
    )
    return told_apart.robot(registry.task(name), number, disturbances)


def _declare_view(node: Node, realtime: bool) -> View:
    window = declare(node, 'viewer', False, 'show the simulation in a window, if there is a screen')
    folder = declare(
        node,
        'frames',
        '',
        'folder for pictures of the simulation: for each episode a film (MP4, where imageio-ffmpeg '
        'is installed) or a folder of PNGs; empty: none',
    )
    rate = declare(
        node,
        'frames_rate',
        10.0,
        'pictures a second of simulated time; fewer in real time, where they take at most '
        f'{REALTIME_SHARE:.0%} of the time',
        minimum=0.01,
        maximum=1000,
        unit='Hz',
    )
    share = REALTIME_SHARE if realtime else 1.0
    return View(window, Path(folder).expanduser() if folder else None, rate, share)
