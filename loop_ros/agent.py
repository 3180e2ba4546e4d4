# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LOOP without ROS: act, observe, update, weights.

Reads as Alg. 1 of the paper:

plan = agent.act(observation, explore=True)     # line 3, ARC or safeARC
... = env.step(plan.action)                     # line 4
agent.observe(transition)                       # line 5
agent.update()                                  # lines 6 and 7, SAC and the ensemble
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from loop_ros import checkpoint
from loop_ros.acting import Acting
from loop_ros.checkpoint.tensor_file import TensorFile
from loop_ros.devices import to_host, usable_device
from loop_ros.learning import crew
from loop_ros.learning.learner import Learner
from loop_ros.learning.transitions import as_batch, encode
from loop_ros.models.parts import Parts
from loop_ros.settings import Settings
from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch, Rows, Transition


class Weights(NamedTuple):
    """What an agent plans with."""

    version: int
    tensors: dict[str, Tensor]  # by the names of Parts.tensors


class Agent(Acting):
    """A planner, its models and their learner for one task."""

    def __init__(self, task: Task, settings: Settings, device: str = 'cpu', seed: int = 0) -> None:
        usable = usable_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            parts = Parts.make(task, settings)
        for network in parts:
            network.to(usable)
        super().__init__(parts, task, settings, usable, seed)
        self._learn_generator = torch.Generator(usable).manual_seed(seed + 1)

    def another(self, seed: int) -> Acting:
        """Another robot that plans in the same models; its `version` follows this one's by hand."""
        other = Acting(self._parts, self.task, self.settings, self.device, seed)
        other.version = self.version
        return other

    @functools.cached_property
    def learner(self) -> Learner:
        """Made when needed: its optimisers take seconds to import, and a planner needs none."""
        return Learner(self._parts, self.task, self.settings, self._learn_generator)

    @property
    def num_steps(self) -> int:
        """Transitions observed."""
        return self.learner.num_steps

    def observe(self, transition: Transition) -> None:
        """Put a transition into the replay buffer; ValueError where it is not usable."""
        self.learner.add(as_batch(transition, self.task))

    def lead(self, task_name: str) -> None:
        """Have the processes that torchrun started beside this one learn as it does."""
        crew.lead(self.learner, self._parts, task_name)

    def model_errors(self, transitions: list[Transition]) -> Array:
        """How far off the models are in each of B transitions, [B].

        Root mean squares over models, state and reward, in standard deviations of what they
        predict.
        """
        batch = encode(Rows.of(transitions), self.task).to(self.device)
        errors: Array = to_host({'errors': self.learner.model_errors(batch)})['errors']
        return errors

    def update(self, stop: Callable[[], bool] = lambda: False) -> dict[str, float]:
        """Learn what is due after one observed step; returns losses and errors by name.

        An ensemble training takes seconds; it ends early, with the best weights so far, once
        `stop` says yes.
        """
        report = self.learner.update(stop)
        self.version += self.learner.has_new_weights
        return report

    def fit_model(
        self, data: Batch, stop: Callable[[], bool], held_out: Tensor
    ) -> dict[str, float]:
        """Train the ensemble on transitions of which `held_out` [B] decide when it is done."""
        report = self.learner.train_ensemble(data, stop, held_out)
        self.version += 1
        return report

    def weights(self) -> bytes:
        """What a planner needs: one safetensors file with its version, task and sizes."""
        metadata = {
            'version': str(self.version),
            'task': self.task.name,
            'settings': json.dumps(self.settings.to_dict()),
        }
        return checkpoint.pack(self._parts.tensors(), metadata)

    def load_weights(
        self, data: bytes, source: str = 'weights', require_digest: bool = True
    ) -> int:
        """Take weights over and return their version; ValueError leaves the agent as it was.

        `require_digest` refuses a file without one. What sizes tell is checked before a tensor is
        made.
        """
        file, own = TensorFile(data, source), self._parts.tensors()
        metadata = file.metadata
        if metadata.get('task') != self.task.name:
            raise ValueError(f'{source}: for task {metadata.get("task")!r}, not {self.task.name!r}')
        version = metadata.get('version', '')
        if not version.isdecimal() or len(version) > 18:
            raise ValueError(f'{source}: no version number in its metadata')
        if self.ready and int(version) == 0:
            raise ValueError(f'{source}: untrained (version 0), and this agent is trained')
        file.check_fit(own)
        file.check_digest(required=require_digest)
        checkpoint.take_over(file.tensors(), own, source)
        self.version = int(version)
        return self.version

    def keep_weights(self) -> Weights:
        """A copy of the present ones, for `put_back`."""
        tensors = self._parts.tensors()
        return Weights(self.version, {name: tensor.clone() for name, tensor in tensors.items()})

    def put_back(self, weights: Weights) -> None:
        """Go back to weights that this agent had."""
        for name, tensor in self._parts.tensors().items():
            tensor.copy_(weights.tensors[name])
        self.version = weights.version

    def on_cpu(self) -> Self:
        """The same on the CPU, without training state; for a device whose memory is too small."""
        other = type(self)(self.task, self.settings)
        other.put_back(Weights(self.version, self._parts.tensors()))
        return other

    def save(self, path: Path, buffer: bool = False, notes: dict[str, Any] | None = None) -> None:
        """Write a checkpoint folder; with `buffer`, everything that resuming needs.

        `notes` go into its metadata.
        """
        files = {'agent': self.weights()}
        if buffer:
            files['training'] = checkpoint.pack(self.learner.tensors(), {})
        metadata = {
            'task': self.task.name,
            'version': self.version,
            'settings': self.settings.to_dict(),
            **self.learner.counters(),
            **(notes or {}),
        }
        checkpoint.write(Path(path), files, metadata)

    @classmethod
    def load(
        cls,
        path: Path,
        task: Task,
        device: str = 'cpu',
        seed: int = 0,
        settings: Settings | None = None,
        resume: bool = True,
    ) -> Self:
        """An agent from a checkpoint folder, by default with its training state where it has one.

        `settings` replace the saved ones, but for networks and the algorithm that trained them.
        """
        files, metadata = read_agent(path, task)
        saved = saved_settings(path, metadata)
        settings = saved if settings is None else settings.trained_by(saved)
        TensorFile(files['agent'], f'{path}').check_fit(Parts.sizes(task, settings))
        agent = cls(task, settings, device, seed)
        agent.load_weights(
            files['agent'], f'{path}', require_digest=False
        )  # its file's name is a digest
        if resume and 'training' in files:
            tensors, _ = checkpoint.unpack(files['training'], f'{path}')
            try:
                agent.learner.restore(tensors, metadata)
            except ValueError as error:
                raise ValueError(f'{path}: {error}') from None
        return agent


def read_agent(path: Path, task: Task) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files, the agent's weights among them, and metadata of a checkpoint folder of this task."""
    files, metadata = checkpoint.read(Path(path))
    if metadata.get('task', task.name) != task.name:
        raise ValueError(f"{path}: trained for the task '{metadata['task']}', not {task.name!r}")
    if 'agent' not in files:
        raise ValueError(f'{path}: no agent in this checkpoint; copy it again')
    return files, metadata


def saved_settings(path: Path, metadata: dict[str, Any] | None = None) -> Settings:
    """The settings of a checkpoint folder, whose `metadata` may have been read before."""
    metadata = checkpoint.read_metadata(Path(path)) if metadata is None else metadata
    if 'settings' not in metadata:
        raise ValueError(f'{path}: no settings in this checkpoint; copy it again')
    return Settings.from_dict(metadata['settings'], f'{path}: settings')
