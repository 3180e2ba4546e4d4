# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters that planner and learner share, and the agent that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from rclpy.node import Node

from loop_ros import checkpoint
from loop_ros.agent import Agent, saved_settings
from loop_ros.devices import usable_device
from loop_ros.nodes.parameters import declare
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.task import Task


@dataclass(frozen=True)
class AgentParameters:
    """What decides which agent a node makes."""

    task: Task
    settings: Settings | None  # that an explicit profile or parameter asks for
    checkpoint: Path | None
    device: str
    seed: int
    num_threads: int

    @classmethod
    def declare(cls, node: Node, live_checkpoint: bool = False) -> AgentParameters:
        """Declare them on a node; ValueError for an unknown task, profile or checkpoint.

        With `live_checkpoint` that parameter may be set later.
        """
        name = declare(node, 'task', 'drift_car', 'robot and job: a name, or package.module:TASK')
        profile = declare(
            node,
            'profile',
            '',
            "settings: name of a shipped profile, or a YAML file; empty: the checkpoint's, and "
            "without one the task's own",
        )
        weights = declare(
            node,
            'checkpoint',
            '',
            'weights to start from: shipped, none or a folder; empty: shipped, where there are',
            read_only=not live_checkpoint,
        )
        task = registry.task(name)
        return cls(
            task=task,
            settings=Settings.for_task(task, profile) if profile else None,
            checkpoint=checkpoint.resolve(weights, task.name),
            device=declare(node, 'device', 'cpu', 'torch device: cpu, cuda, cuda:0, ...'),
            seed=declare(node, 'seed', 0, 'seed of all randomness', minimum=0),
            num_threads=declare(
                node, 'num_threads', 1, 'threads that torch may use', minimum=1, maximum=1024
            ),
        )

    @property
    def saved(self) -> Settings | None:
        """The checkpoint's settings; ValueError where it is unusable."""
        return None if self.checkpoint is None else saved_settings(self.checkpoint)

    def make(self, folder: Path | None = None, resume: bool = True) -> Agent:
        """The agent, from `folder` where given, else from the checkpoint; call in its thread.

        `resume` takes its training state over too. ValueError where a checkpoint is unusable or
        the device is not there.
        """
        torch.set_num_threads(self.num_threads)
        usable_device(self.device)
        folder = folder or self.checkpoint
        if folder is None:
            settings = self.settings or Settings.for_task(self.task)
            return Agent(self.task, settings, self.device, self.seed)
        return Agent.load(folder, self.task, self.device, self.seed, self.settings, resume)
