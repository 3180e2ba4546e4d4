# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""transition -> replay -> update -> weights: the learning half of LOOP (Alg. 1, lines 5 to 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loop_ros.algorithms.crr import CRR
from loop_ros.algorithms.mbop import MBOP
from loop_ros.algorithms.off_policy import OffPolicy, TrainingState
from loop_ros.algorithms.plas import PLAS
from loop_ros.algorithms.polo import POLO
from loop_ros.algorithms.sac import SAC
from loop_ros.algorithms.targets import expansion_target, sarsa_target
from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.learning.model_rollouts import Imagination
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.models.offline_actors import ClonedActors, LatentActor
from loop_ros.models.parts import Parts
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import Settings
from loop_ros.sim.task import Task
from loop_ros.types import Batch


class Learner:
    """Trains actor, critics and ensemble in place from the transitions it is given."""

    def __init__(
        self, parts: Parts, task: Task, settings: Settings, generator: torch.Generator
    ) -> None:
        self.settings, self.generator = settings, generator
        ensemble, actor, _ = parts
        self.action_dim = len(task.action_labels)
        device = str(next(actor.parameters()).device)
        self.buffer = ReplayBuffer(
            settings.learning.buffer_size, ensemble.state_dim, self.action_dim, device
        )
        self.algorithm = _algorithm(parts, task, settings, generator)
        self.imagination = Imagination(
            ensemble, actor, task.termination, generator, settings.sac.model_penalty
        )
        self.ensemble_trainer = EnsembleTrainer(ensemble, settings.ensemble, generator)
        self._predictable_next_state = task.predictable_next_state
        self.num_steps = 0
        self.num_trainings = 0
        self._updated_at = 0  # steps that were seen at the last update

    def add(self, batch: Batch) -> None:
        """Store transitions (Alg. 1, line 5)."""
        self.buffer.add(batch)
        self.num_steps += len(batch.reward)

    def update(self, stop: Callable[[], bool]) -> dict[str, float]:
        """What is due after the newest step: updates, and every K_m steps the ensemble's training.

        One that fell due in steps without an update is made up for, once. `stop` is asked between
        epochs: a yes ends the training with the best weights so far.
        """
        losses: dict[str, Tensor] = {}
        if self._updates_due():
            for _ in range(self.settings.sac.updates_per_step):
                losses = self.algorithm.update(*self._experience())
        report = dict(zip(losses, _numbers(losses), strict=True))
        if self._ensemble_due():
            report.update(self.ensemble_trainer.train(self.learnable(self.buffer.all()), stop))
            self.num_trainings += 1
        self._updated_at = self.num_steps
        return report

    def _updates_due(self) -> bool:
        enough = len(self.buffer) >= self.settings.sac.batch_size
        if self.algorithm.needs_model and self.num_trainings == 0:
            return False
        return enough and self.num_steps % self.settings.sac.update_every == 0

    def _ensemble_due(self) -> bool:
        first, every = self.settings.learning.random_steps, self.settings.ensemble.train_every
        if every == 0 or self.num_steps < first:
            return False
        return (self.num_steps - first) // every > (self._updated_at - first) // every

    def learnable(self, data: Batch) -> Batch:
        """Transitions without what the environment draws anew, which no model can learn."""
        if self._predictable_next_state is None:
            return data
        return data._replace(next_state=self._predictable_next_state(data.state, data.next_state))

    def _experience(self) -> tuple[Batch, Tensor | None]:
        """A batch, and the critics' target [B] where it is not the algorithm's own."""
        settings, algorithm = self.settings.sac, self.algorithm
        if settings.bootstrap == 'buffer' and isinstance(algorithm, SAC):
            batch, action = self.buffer.sample_pairs(settings.batch_size, self.generator)
            return batch, sarsa_target(batch, action, algorithm.critic_target, settings.discount)
        batch = self._with_branches(self.buffer.sample(settings.batch_size, self.generator))
        horizon = settings.expansion_horizon
        if horizon > 1 and self.num_trainings > 0 and isinstance(algorithm, SAC):
            return batch, expansion_target(batch, algorithm, self.imagination, horizon)
        return batch, None

    def _with_branches(self, batch: Batch) -> Batch:
        """The batch with its first part branched from the ensemble (MBPO), once that is trained."""
        settings = self.settings.sac
        count = round(settings.model_fraction * len(batch.reward))
        if count == 0 or self.num_trainings == 0:
            return batch
        imagined = self.imagination.branch(
            batch.state, self.action_dim, count, settings.model_rollout_length
        )
        return Batch(
            *(torch.cat((new, old[count:])) for new, old in zip(imagined, batch, strict=True))
        )

    def tensors(self) -> dict[str, Tensor]:
        """Buffer, random state and what the algorithm and the ensemble go on from."""
        return {
            'buffer.rows': self.buffer.tensors()['rows'],
            'generator': self.generator.get_state(),
            **self._training_state().tensors(),
            **self.algorithm.training_state().tensors(),
        }

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Go on where `tensors()` was taken; ValueError where something does not fit."""
        try:
            self.buffer.restore({'rows': tensors['buffer.rows']})
            for part in (self.algorithm.training_state(), self._training_state()):
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

    def _training_state(self) -> TrainingState:
        return TrainingState({'ensemble_optimizer': self.ensemble_trainer.optimizer})


def _algorithm(
    parts: Parts, task: Task, settings: Settings, generator: torch.Generator
) -> OffPolicy:
    _, actor, critic = parts
    if isinstance(actor, LatentActor):
        return PLAS(actor, critic, settings.sac, settings.plas, generator)
    if isinstance(actor, ClonedActors):
        return MBOP(actor, critic, settings.sac)
    if settings.learning.algorithm == 'crr':
        return CRR(actor, critic, settings.sac, settings.crr, generator)
    if settings.learning.algorithm == 'polo':
        planner = Planner(Rollout(parts, task), generator)
        return POLO(critic, planner, settings.planner, settings.sac)
    return SAC(actor, critic, len(task.action_labels), settings.sac, generator)


def _numbers(losses: dict[str, Tensor]) -> list[float]:
    """In one copy from the device."""
    return torch.stack(list(losses.values())).tolist() if losses else []
