# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LOOP-offline's training (Alg. 2): the model to convergence, then actor and critics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loop_ros import checkpoint, distributed
from loop_ros.agent import Agent
from loop_ros.offline.data import OfflineData
from loop_ros.settings import Settings
from loop_ros.sim.task import Task
from loop_ros.types import Batch


class OfflineTraining:
    """Trains an agent on fixed data, of which some episodes are held out from everything.

    Of several processes each makes one of these, on the same data, and they train one agent.
    """

    def __init__(self, agent: Agent, data: OfflineData, seed: int = 0) -> None:
        """`seed` chooses the episodes that are held out."""
        self.agent, self.data, self.seed = agent, data, seed
        self.updates = 0  # gradient steps, also of PLAS's autoencoder
        self.model: dict[str, float] = {}  # what its training came to
        self.held_out = data.held_out(agent.settings.ensemble.holdout_fraction, seed)
        self._batch = data.batch.to(agent.device)
        self._table = self._experience()
        distributed.check_divisible(agent.settings)
        distributed.check_same(data.digest(), 'data')
        self._broadcast()

    def fit_model(self, stop: Callable[[], bool] = lambda: False) -> dict[str, float]:
        """Line 2: the ensemble until its error on held-out episodes falls no more, then fixed.

        `stop` is asked after each epoch.
        """
        self.model = self.agent.fit_model(self._batch, stop, self.held_out.to(self.agent.device))
        return self.model

    def update(self) -> dict[str, Tensor]:
        """Line 3, one gradient step of the offline algorithm; its metrics by name."""
        learner = self.agent.learner
        index = torch.randint(
            len(self._table),
            (self.agent.settings.off_policy.batch_size,),
            generator=learner.generator,
            device=self.agent.device,
        )
        index = distributed.shard(index)
        rows = self._table.index_select(0, index)
        task, target = self.agent.task, rows[:, -1]
        batch = Batch.from_table(rows[:, :-1], task.state_dim, len(task.action_labels))
        self.updates += 1
        algorithm = learner.algorithm
        return algorithm.update(batch, target if algorithm.learns_returns else None)

    def save(self, path: Path) -> None:
        """An ordinary checkpoint that can also be resumed from; the data stay where they are.

        Of several processes the first writes it; all must come here.
        """
        self._broadcast()
        if distributed.rank() > 0:
            return
        notes = {
            'updates': self.updates,
            'model': self.model,
            'seed': self.seed,
            'data': self.data.digest(),
            'transitions': len(self.data),
            'episodes': self.data.num_episodes,
        }
        self.agent.save(path, buffer=True, notes={'offline': notes})

    @classmethod
    def resume(
        cls, path: Path, task: Task, data: OfflineData, settings: Settings, device: str = 'cpu'
    ) -> OfflineTraining:
        """Resume where `save` was; ValueError where that was on other data or otherwise trained."""
        _, metadata = checkpoint.read(path)
        notes = metadata.get('offline')
        if notes is None:
            raise ValueError(f'{path}: not of an offline training; choose another --out')
        if notes['data'] != data.digest():
            raise ValueError(
                f'{path}: trained on {notes["transitions"]} other transitions than these '
                f'{len(data)}: give the same bags in the same order, or another --out'
            )
        saved = Settings.from_dict(metadata['settings'], str(path))
        if others := settings.trained_otherwise(saved):
            raise ValueError(
                f'{path}: trained with {others}; give the same profile, --algorithm and --set, or '
                'another --out'
            )
        agent = Agent.load(path, task, device, notes['seed'], settings)
        training = cls(agent, data, notes['seed'])
        training.updates, training.model = notes['updates'], notes['model']
        return training

    def _broadcast(self) -> None:
        """All processes resume from the numbers of the first."""
        if distributed.size() == 1:
            return
        agent, learner = self.agent, self.agent.learner
        parts: list[dict[str, Tensor]] = [
            agent.ensemble.state_dict(),
            agent.actor.state_dict(),
            agent.critic.state_dict(),
            learner.algorithm.training_state().tensors(),
            learner.ensemble_state().tensors(),
        ]
        distributed.broadcast(tensor for part in parts for tensor in part.values())

    def _experience(self) -> Tensor:
        """What updates draw from, on the device: a row for each transition that is not held out.

        The last column is what MBOP's value learns; transitions without it are left out there.
        """
        settings, batch = self.agent.settings, self.data.batch
        target = torch.zeros(len(self.data))
        if settings.learning.algorithm == 'mbop':
            horizon = settings.mbop.value_horizon
            target = self.data.truncated_returns(horizon, settings.off_policy.discount)
            if not bool(((~self.held_out) & target.isfinite()).any()):
                raise ValueError(
                    f'no episode has the {horizon} steps that the value sums up: lower '
                    'mbop.value_horizon'
                )
        table = torch.cat((batch.table(), target.unsqueeze(1)), dim=1)
        return table[(~self.held_out) & target.isfinite()].to(self.agent.device)


def summary(data: OfflineData) -> dict[str, Any]:
    """What the data are like."""
    returns = data.returns()
    return {
        'transitions': len(data),
        'episodes': data.num_episodes,
        'mean_return': float(returns.mean()),
        'max_return': float(returns.max()),
        'total_cost': float(data.batch.cost.sum()),
    }
