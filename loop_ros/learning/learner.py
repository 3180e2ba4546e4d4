# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""transition -> replay -> update -> weights: the learning half of LOOP (Alg. 1, lines 5 to 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from loop_ros import distributed
from loop_ros.algorithms.crr import CRR
from loop_ros.algorithms.mbop import MBOP
from loop_ros.algorithms.off_policy import OffPolicy, TrainingState
from loop_ros.algorithms.plas import PLAS
from loop_ros.algorithms.polo import POLO
from loop_ros.algorithms.sac import SAC
from loop_ros.algorithms.targets import expansion_target, sarsa_target
from loop_ros.cuda_graph import Graphed
from loop_ros.devices import to_host
from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.learning.model_rollouts import ModelRollouts
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.models.parts import Parts
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import Settings
from loop_ros.sim.task import Task
from loop_ros.types import Batch

Update = Callable[[Batch, Tensor | None], dict[str, Tensor]]


class Learner:
    """Trains actor, critics and ensemble in place from the transitions it is given."""

    def __init__(
        self, parts: Parts, task: Task, settings: Settings, generator: torch.Generator
    ) -> None:
        self.task, self.settings, self.generator = task, settings, generator
        ensemble = parts.ensemble
        self.buffer = ReplayBuffer(
            settings.learning.buffer_size,
            ensemble.state_dim,
            len(task.action_labels),
            str(ensemble.device),
        )
        self.algorithm = _algorithm(parts, task, settings, generator)
        self._update = self._captured(self.algorithm.update)
        # Other algorithms have no turns: both kinds of update are one.
        self._update_critics = self._update
        if isinstance(self.algorithm, SAC) and settings.sac.actor_every > 1:
            self._update_critics = self._captured(self.algorithm.update_critics)
        penalty = settings.model_rollouts.penalty
        self.model_rollouts = ModelRollouts(parts, task, generator, penalty)
        self.ensemble_trainer = EnsembleTrainer(ensemble, settings.ensemble, generator)
        self.num_steps = 0
        self.num_trainings = 0
        self.has_new_weights = False  # whether the last update made some to plan with
        self._updated_at = 0  # steps that were seen at the last update
        # Of several processes, what the first tells the others before it does it (crew.py).
        self.on_add: Callable[[Batch], None] = lambda batch: None
        self.on_update: Callable[[], None] = lambda: None

    def _captured(self, step: Update) -> Update:
        """An update of the algorithm as one CUDA graph where there is a GPU, if it can be one."""
        if not self.algorithm.capturable or distributed.size() > 1:
            return step

        def update(*tensors: Tensor | None) -> dict[str, Tensor]:
            *batch, target = tensors
            return step(Batch(*cast(list[Tensor], batch)), target)

        graphed = Graphed(update, self.generator.device, self.generator)
        return lambda batch, target: graphed(*batch, target)

    def add(self, batch: Batch) -> None:
        """Store transitions (Alg. 1, line 5).

        ValueError, and nothing is stored, where a cost is none that the ensemble can learn.
        """
        self.ensemble_trainer.ensemble.check_cost(batch.cost)
        self.on_add(batch)
        self.buffer.add(batch)
        self.num_steps += len(batch.reward)

    def update(self, stop: Callable[[], bool]) -> dict[str, float]:
        """What is due after the newest step: updates, and every K_m steps the ensemble's training.

        A training missed while no update ran is run once. `stop` is asked between epochs: a yes
        ends the training with the best weights so far.
        """
        self.on_update()
        losses: dict[str, Tensor] = {}
        if self._updates_due():
            for number in range(1, self.settings.off_policy.updates_per_step + 1):
                update = self._update if self._is_actors_turn(number) else self._update_critics
                losses |= update(*_shard(*self._experience()))
        report: dict[str, float] = to_host(losses) if losses else {}
        needs_no_model = self.settings.ensemble.train_every == 0
        started = self.num_steps >= self.settings.learning.random_steps
        self.has_new_weights = needs_no_model and started
        if self._ensemble_due():
            report |= self.train_ensemble(self.buffer.all(), stop)
        self._updated_at = self.num_steps
        return report

    def train_ensemble(
        self, data: Batch, stop: Callable[[], bool], held_out: Tensor | None = None
    ) -> dict[str, float]:
        """Train on transitions as `EnsembleTrainer.train` does, and count the training."""
        report = self.ensemble_trainer.train(self.learnable(data), stop, held_out)
        self.num_trainings += 1
        self.has_new_weights = True
        return report

    def model_errors(self, data: Batch) -> Tensor:
        """Root mean squared one-step error of the ensemble in each transition, [B]."""
        return self.ensemble_trainer.errors(self.learnable(data))

    def learnable(self, data: Batch) -> Batch:
        """Transitions without what the environment resamples, which no model can learn."""
        if self.task.predictable_next_state is None:
            return data
        next_state = self.task.predictable_next_state(data.state, data.next_state)
        return data._replace(next_state=next_state)

    def _is_actors_turn(self, number: int) -> bool:
        """Whether the update of that number, of those after the newest step, includes the actor."""
        before = self.num_steps * self.settings.off_policy.updates_per_step
        return (before + number) % self.settings.sac.actor_every == 0

    def _updates_due(self) -> bool:
        settings = self.settings.off_policy
        enough = len(self.buffer) >= settings.batch_size
        if self.num_steps < self.settings.learning.update_after:
            return False
        if self.algorithm.needs_model and self.num_trainings == 0:
            return False
        return enough and self.num_steps % settings.update_every == 0

    def _ensemble_due(self) -> bool:
        first, every = self.settings.learning.random_steps, self.settings.ensemble.train_every
        if every == 0 or self.num_steps < first:
            return False
        return (self.num_steps - first) // every > (self._updated_at - first) // every

    def _experience(self) -> tuple[Batch, Tensor | None]:
        """A batch, and the critics' target [B] where it is not the algorithm's own."""
        settings, algorithm = self.settings, self.algorithm
        size = settings.off_policy.batch_size
        if not isinstance(algorithm, SAC):  # `Settings` allows other targets for no other
            return self._with_branches(self.buffer.sample(size, self.generator)), None
        if settings.sac.bootstrap == 'buffer':
            batch, action = self.buffer.sample_pairs(size, self.generator)
            return batch, sarsa_target(batch, action, algorithm)
        steps, discount = settings.sac.reward_steps, settings.off_policy.discount
        batch = self.buffer.sample_steps(size, steps, discount, self.generator)
        batch = self._with_branches(batch)
        horizon = settings.model_rollouts.expansion_horizon
        if horizon > 1 and self.num_trainings > 0:
            return batch, expansion_target(batch, algorithm, self.model_rollouts, horizon)
        return batch, None

    def _with_branches(self, batch: Batch) -> Batch:
        """The batch with its first part branched from the ensemble (MBPO), once that is trained.

        A transition of the batch stays where the branch reaches a goal, of which the next is not
        known: critics would take what they extrapolate there for what follows it.
        """
        settings = self.settings.model_rollouts
        count = round(settings.fraction * len(batch.reward))
        if count == 0 or self.num_trainings == 0:
            return batch
        branched = self.model_rollouts.branch(batch.state, count, settings.length)
        stays = self.model_rollouts.resampled(branched).unsqueeze(1)
        rows = batch.table()
        rows[:count] = torch.where(stays, rows[:count], branched.table())
        return Batch.from_table(rows, batch.state.shape[1], batch.action.shape[1])

    def tensors(self) -> dict[str, Tensor]:
        """Buffer, random state and what the algorithm and the ensemble resume from."""
        return {
            'buffer.rows': self.buffer.tensors()['rows'],
            'generator': self.generator.get_state(),
            **self.ensemble_state().tensors(),
            **self.algorithm.training_state().tensors(),
        }

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Resume where `tensors()` was taken; ValueError where something does not fit."""
        try:
            self.buffer.restore({'rows': tensors['buffer.rows']})
            for part in (self.algorithm.training_state(), self.ensemble_state()):
                part.restore(tensors)
            self.generator.set_state(tensors['generator'].to('cpu'))
            self.num_steps = self._updated_at = int(counters['num_steps'])
            self.num_trainings = int(counters['num_trainings'])
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f'training state does not fit this task and profile: {error}'
            ) from None

    def counters(self) -> dict[str, int]:
        """Steps seen and ensemble trainings done, for a checkpoint's metadata."""
        return {'num_steps': self.num_steps, 'num_trainings': self.num_trainings}

    def ensemble_state(self) -> TrainingState:
        """The ensemble's optimiser, for a checkpoint."""
        return TrainingState({'ensemble_optimizer': self.ensemble_trainer.optimizer})


def _shard(batch: Batch, target: Tensor | None) -> tuple[Batch, Tensor | None]:
    """This process's part of a batch and its target."""
    if target is not None:
        target = distributed.shard(target)
    return Batch(*map(distributed.shard, batch)), target


def _algorithm(
    parts: Parts, task: Task, settings: Settings, generator: torch.Generator
) -> OffPolicy:
    name = settings.learning.algorithm
    if name == 'polo':
        return POLO(Planner(Rollout(parts, task), generator), settings)
    kinds: dict[str, Callable[[Parts, Settings, torch.Generator], OffPolicy]]
    kinds = {'sac': SAC, 'crr': CRR, 'plas': PLAS, 'mbop': MBOP}
    return kinds[name](parts, settings, generator)
