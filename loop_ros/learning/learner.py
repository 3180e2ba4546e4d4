# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""transition -> replay -> update -> weights: the learning half of LOOP (Alg. 1, lines 5 to 7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loop_ros.learning.adam import Adam
from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.learning.sac import SAC
from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, TwinCritic
from loop_ros.settings import Settings
from loop_ros.types import Batch


class Learner:
    """Trains actor, critics and ensemble in place from the transitions it is given."""

    def __init__(
        self,
        ensemble: Ensemble,
        actor: Actor,
        critic: TwinCritic,
        action_dim: int,
        settings: Settings,
        generator: torch.Generator,
        termination: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.ensemble, self.settings, self.generator = ensemble, settings, generator
        self.termination = termination
        device = str(next(actor.parameters()).device)
        self.buffer = ReplayBuffer(
            settings.learning.buffer_size, ensemble.state_dim, action_dim, device
        )
        self.sac = SAC(actor, critic, action_dim, settings.sac, generator)
        self.ensemble_trainer = EnsembleTrainer(ensemble, settings.ensemble, generator)
        self.num_steps = 0
        self.num_trainings = 0

    def add(self, batch: Batch) -> None:
        """Store transitions (Alg. 1, line 5)."""
        self.buffer.add(batch)
        self.num_steps += len(batch.reward)

    def update(self, stop: Callable[[], bool]) -> dict[str, float]:
        """What is due after one step: SAC's updates, and every K_m steps the ensemble's training.

        `stop` is asked between epochs: a yes ends the training with the best weights so far.
        """
        losses: dict[str, Tensor] = {}
        if len(self.buffer) >= self.settings.sac.batch_size:
            for _ in range(self.settings.sac.updates_per_step):
                losses = self.sac.update(self._sac_batch())
        report = dict(zip(losses, _numbers(losses), strict=True))
        if self._ensemble_due():
            report.update(self.ensemble_trainer.train(self.buffer.all(), stop))
            self.num_trainings += 1
        return report

    def _ensemble_due(self) -> bool:
        since = self.num_steps - self.settings.learning.random_steps
        every = self.settings.ensemble.train_every
        return every > 0 and since >= 0 and since % every == 0

    def _sac_batch(self) -> Batch:
        """From the buffer, and in part one model step branched from it (MBPO with length 1)."""
        batch = self.buffer.sample(self.settings.sac.batch_size, self.generator)
        count = round(self.settings.sac.model_fraction * len(batch.reward))
        if count == 0 or self.num_trainings == 0:
            return batch
        with torch.no_grad():
            imagined = self._imagine(batch.state[:count], batch.action.shape[1])
        return Batch(
            *(torch.cat((new, old[count:])) for new, old in zip(imagined, batch, strict=True))
        )

    def _imagine(self, state: Tensor, action_dim: int) -> Batch:
        """The actor's own action in each state and what one random model makes of it."""
        count, models = len(state), self.ensemble.num_models
        action = self.sac.actor.act(state, self._normal(count, action_dim))
        noise = self._normal(1, count, self.ensemble.noisy_dim).expand(models, -1, -1)
        predicted = self.ensemble.predict(
            state.expand(models, -1, -1), action.expand(models, -1, -1), noise
        )
        pick = torch.randint(models, (count,), generator=self.generator, device=state.device)
        each = torch.arange(count, device=state.device)
        reached = predicted.next_state[pick, each]
        if self.termination is None:
            terminated = torch.zeros(count, device=state.device)
        else:
            terminated = self.termination(reached).to(reached.dtype)
        return Batch(
            state,
            action,
            predicted.reward[pick, each],
            predicted.cost[pick, each],
            reached,
            terminated,
        )

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def tensors(self) -> dict[str, Tensor]:
        """Buffer, target critics, temperature, optimisers and random state, to resume from."""
        found: dict[str, Tensor] = {
            f'buffer.{name}': value for name, value in self.buffer.tensors().items()
        }
        found['generator'] = self.generator.get_state()
        found['log_entropy_coef'] = self.sac.log_entropy_coef
        for name, value in self.sac.critic_target.state_dict().items():
            found[f'critic_target.{name}'] = value
        for name, optimizer in self._optimizers().items():
            for key, value in optimizer.tensors().items():
                found[f'{name}.{key}'] = value
        return found

    def restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        """Go on where `tensors()` was taken; ValueError where something does not fit."""
        try:
            self.buffer.restore({'rows': tensors['buffer.rows']})
            self.sac.critic_target.load_state_dict(_under(tensors, 'critic_target.'))
            self.sac.log_entropy_coef.copy_(tensors['log_entropy_coef'])
            for name, optimizer in self._optimizers().items():
                optimizer.restore(_under(tensors, f'{name}.'))
            self.generator.set_state(tensors['generator'].to('cpu'))
            self.num_steps = int(counters['num_steps'])
            self.num_trainings = int(counters['num_trainings'])
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f'training state does not fit this task and profile: {error}'
            ) from None

    def counters(self) -> dict[str, int]:
        """Steps seen and ensemble trainings done, for a checkpoint's metadata."""
        return {'num_steps': self.num_steps, 'num_trainings': self.num_trainings}

    def _optimizers(self) -> dict[str, Adam]:
        return {
            'actor_optimizer': self.sac.actor_optimizer,
            'critic_optimizer': self.sac.critic_optimizer,
            'entropy_optimizer': self.sac.entropy_optimizer,
            'ensemble_optimizer': self.ensemble_trainer.optimizer,
        }


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def _numbers(losses: dict[str, Tensor]) -> list[float]:
    """In one copy from the device."""
    return torch.stack(list(losses.values())).tolist() if losses else []
