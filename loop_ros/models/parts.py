# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The networks of an agent together, as a task and settings ask for them."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, Critics
from loop_ros.models.offline_actors import ClonedActors, LatentActor, make_actor
from loop_ros.settings import Settings
from loop_ros.sim.task import Task


class Parts(NamedTuple):
    """What is handed from learner to planner."""

    ensemble: Ensemble
    actor: Actor | LatentActor | ClonedActors
    critic: Critics

    @classmethod
    def make(cls, task: Task, settings: Settings) -> Self:
        """New networks, by torch's own random numbers."""
        states, actions = task.state_dim, len(task.action_labels)
        return cls(
            Ensemble(states, actions, settings.ensemble),
            make_actor(states, actions, settings),
            Critics(states, actions, settings.off_policy),
        )

    @classmethod
    def sizes(cls, task: Task, settings: Settings) -> dict[str, Tensor]:
        """`tensors` without memory, for settings that may ask for networks of any size."""
        with torch.device('meta'):
            return cls.make(task, settings).tensors()

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of theirs, by the name that it has in a file."""
        return {
            f'{part}.{name}': tensor
            for part, network in self._asdict().items()
            for name, tensor in network.state_dict().items()
        }
