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

import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from loop_ros import checkpoint
from loop_ros.checkpoint.tensor_file import TensorFile
from loop_ros.devices import to_host, usable_device
from loop_ros.learning.learner import Learner
from loop_ros.learning.transitions import as_batch
from loop_ros.models.parts import Parts
from loop_ros.planning.make import make_planner
from loop_ros.planning.planner import Search
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import PlannerSettings, Settings
from loop_ros.sim.task import Task
from loop_ros.types import Array, Batch, Plan, Transition


class Weights(NamedTuple):
    """What an agent plans with."""

    version: int
    tensors: dict[str, Tensor]  # by the names of Parts.tensors


class Agent:
    """A planner, its models and their learner for one task."""

    def __init__(self, task: Task, settings: Settings, device: str = 'cpu', seed: int = 0) -> None:
        self.task, self.settings = task, settings
        self.device = usable_device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._parts = Parts.make(task, settings)
        for network in self._parts:
            network.to(self.device)
        self.ensemble, self.actor, self.critic = self._parts
        self._plan_generator = torch.Generator(self.device).manual_seed(seed)
        self.planner = make_planner(Rollout(self._parts, task), self._plan_generator)
        self._learn_generator = torch.Generator(self.device).manual_seed(seed + 1)
        self.version = 0  # of the weights; 0 is untrained
        self.last_search: Search | None = None  # of the last plan, where there was one

    @functools.cached_property
    def learner(self) -> Learner:
        """Made when needed: its optimisers take seconds to import, and a planner needs none."""
        return Learner(self._parts, self.task, self.settings, self._learn_generator)

    @property
    def ready(self) -> bool:
        """Whether there is a trained model to plan in."""
        return self.version > 0

    @property
    def num_steps(self) -> int:
        """Transitions observed."""
        return self.learner.num_steps

    def act(
        self,
        observation: Array,
        explore: bool = False,
        predict_next: bool = False,
        most: int | None = None,
    ) -> Plan:
        """The plan from an observation [O]; before there is a model, a random action.

        `explore` adds the exploration noise of the settings to the executed action; an agent that
        acts without planning draws it from its actor instead. `predict_next` has the ensemble say
        where the executed action leads, and how surely. `most` iterations of the search are run
        where it is given. ValueError for an observation that is not finite.
        """
        begin, settings = time.perf_counter(), self.settings.planner
        if not np.isfinite(observation).all():
            raise ValueError(f'observation is not finite: {np.asarray(observation).tolist()}')
        memory, search = self.planner.memory(), None
        acting = settings.algorithm == 'actor' or (explore and settings.explore == 'actor')
        with torch.inference_mode():
            state = self._encode(observation)
            actor_action = self.actor.mean(state)
            if self.ready and not acting:
                sequence, std, states, runner_up, metrics, iterations, search = self.planner.plan(
                    state, settings, most
                )
                found = {**metrics, 'states': states, 'runner_up': runner_up}
            else:
                sequence = self._unplanned(state, explore).expand(settings.horizon, -1)
                found, iterations, std = {'states': state.unsqueeze(0)}, 0, torch.zeros(())
            action = sequence[0]
            if explore and self.ready and (settings.exploration_std or settings.plan_exploration):
                spread = settings.exploration_std + settings.plan_exploration * std
                action = (action + spread * self._random(torch.randn)).clamp(-1, 1)
            if predict_next and self.ready:
                found['next_state'], found['next_std'] = self.ensemble.predict_next(state, action)
            found['sequence'] = torch.cat((action.unsqueeze(0), sequence[1:]))
            found['actor_action'] = actor_action
            found['actor_divergence'] = (action - actor_action).norm()
            host: dict[str, Any] = to_host(found)
        self.last_search = search
        for name in host.keys() & {'sequence', 'actor_action', 'runner_up'}:
            host[name] = self.task.denormalize_action(host[name])
        return Plan(
            action=host['sequence'][0],
            constrained=settings.constrained,
            d0=settings.d0,
            iterations=iterations,
            memory=memory,
            plan_s=time.perf_counter() - begin,
            **host,
        )

    def _unplanned(self, state: Tensor, explore: bool) -> Tensor:
        """An action [A] without a plan: random before there is a model, else the actor's."""
        if not self.ready:
            return 2.0 * self._random(torch.rand) - 1.0
        if explore:
            return self.actor.act(state, self._random(torch.randn))
        return self.actor.mean(state)

    def act_without_planning(self, observation: Array) -> Array:
        """The actor's mean action [A], physical units."""
        with torch.inference_mode():
            action = self.actor.mean(self._encode(observation))
        return self.task.denormalize_action(action.double().cpu().numpy())

    @torch.inference_mode()
    def score(self, observation: Array, sequences: Array) -> tuple[Array, Array]:
        """Predicted returns and worst costs [N] of sequences [N, H, A], in physical units.

        From an observation [O]; all meet the same noise.
        """
        state = self._encode(observation)
        normalized = np.asarray(self.task.normalize_action(sequences))
        actions = torch.as_tensor(normalized, dtype=torch.float32, device=self.device)
        scores = self.planner.score(state, actions, self.settings.planner)
        found = to_host({'returns': scores.returns, 'costs': scores.costs})
        return found['returns'], found['costs']

    def reset(self) -> None:
        """Forget the last plan, as at the start of an episode."""
        self.planner.reset()

    def configure(self, planner: PlannerSettings) -> None:
        """Planner settings for the next plan on."""
        self.settings = dataclasses.replace(self.settings, planner=planner)

    def observe(self, transition: Transition) -> None:
        """Put a transition into the replay buffer; ValueError where it is not usable."""
        self.learner.add(as_batch(transition, self.task))

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

    def _encode(self, observation: Array) -> Tensor:
        """The model state [S] of an observation [O]; encoded on the CPU in double precision."""
        state = self.task.encode(torch.as_tensor(observation, dtype=torch.float64))
        return state.float().to(self.device)

    def _random(self, draw: Any) -> Tensor:
        """One random number for each action, [A]."""
        size = len(self.task.action_labels)
        drawn: Tensor = draw(size, generator=self._plan_generator, device=self.device)
        return drawn


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
