# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains all K models together until their holdout errors stop falling (Alg. 1, line 7)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from loop_ros import distributed
from loop_ros.algorithms.adam import Adam
from loop_ros.cuda_graph import Graphed
from loop_ros.models.ensemble import Ensemble
from loop_ros.settings import EnsembleSettings
from loop_ros.types import Batch

ROWS = 4096  # of the holdout that go through the models at once


class EnsembleTrainer:
    """Resumes from the present weights at each call; every model keeps its own best weights."""

    def __init__(
        self, ensemble: Ensemble, settings: EnsembleSettings, generator: torch.Generator
    ) -> None:
        self.ensemble, self.settings, self.generator = ensemble, settings, generator
        self.optimizer = Adam(
            [p for p in ensemble.parameters() if p.requires_grad],
            settings.learning_rate,
            settings.weight_decay,
        )
        # An exchange with other processes is not captured.
        is_single = distributed.size() == 1
        self._step = Graphed(self._learn, ensemble.device) if is_single else self._learn

    def train(
        self,
        data: Batch,
        stop: Callable[[], bool] = lambda: False,
        held_out: Tensor | None = None,
    ) -> dict[str, float]:
        """Fit to data until convergence; returns the holdout loss and error and the epochs used.

        `stop` is asked after each epoch; a yes ends the training with the best weights so far.
        `held_out` [B] marks the holdout; without it, every n-th transition is one.
        """
        self.ensemble.fit_normalizers(data)
        distributed.broadcast(self.ensemble.buffers())
        x, target = self._normalized(data)
        if held_out is None:
            held_out = self._held_out(len(x), x.device)
        train = [part[~held_out] for part in (x, target, data.cost)]
        test = [part[held_out] for part in (x, target, data.cost)]
        best = self._holdout_loss(test)
        best_weights = [p.detach().clone() for p in self.ensemble.network.parameters()]
        waited, epoch, stopped = 0, 0, False
        epochs = self._most_epochs(len(train[0]))
        while waited < self.settings.patience and epoch < epochs and not stopped:
            self._epoch(train)
            epoch += 1
            stopped = distributed.first_says(stop())
            loss = self._holdout_loss(test)
            # A gain below 0.01 nats does not count, or waiting never ends.
            improved = loss < best - 0.01
            waited = 0 if bool(improved.any()) else waited + 1
            best = self._keep(best, best_weights, loss)
        with torch.no_grad():
            for p, kept in zip(self.ensemble.network.parameters(), best_weights, strict=True):
                p.copy_(kept)
        return {
            'model_loss': float(best.mean()),
            'model_error': self._relative_error(test),
            'model_epochs': float(epoch),
        }

    @torch.no_grad()
    def errors(self, data: Batch) -> Tensor:
        """Root mean squared error of all models in each transition, [B].

        In units of the targets' standard deviation.
        """
        x, target = self._normalized(data)
        mean, _, _ = self.ensemble(x.expand(self.ensemble.num_models, *x.shape))
        return (mean - target).square().mean(dim=(0, 2)).sqrt()

    @torch.no_grad()
    def _normalized(self, data: Batch) -> tuple[Tensor, Tensor]:
        """The models' inputs [B, S+A] and targets [B, S+1]."""
        x = self.ensemble.inputs.normalize(torch.cat((data.state, data.action), dim=-1))
        return x, self.ensemble.targets.normalize(self.ensemble.raw_targets(data))

    def _most_epochs(self, rows: int) -> int:
        """So that a training takes no longer when there is more to learn from."""
        settings = self.settings
        if settings.max_updates == 0:
            return settings.max_epochs
        updates = -(-rows // settings.batch_size)  # in an epoch
        return min(settings.max_epochs, -(-settings.max_updates // updates))

    def _held_out(self, size: int, device: torch.device) -> Tensor:
        """Every n-th transition, always the same ones, so that best weights never saw them."""
        every = max(2, round(1.0 / self.settings.holdout_fraction))
        return torch.arange(size, device=device) % every == every - 1

    def _epoch(self, data: list[Tensor]) -> None:
        """One pass; each model sees the data in an order of its own."""
        x, target, cost = data
        models, size = self.ensemble.num_models, self.settings.batch_size
        table = torch.cat((x, target, cost.unsqueeze(-1)), dim=-1)
        keys = torch.rand(models, len(x), generator=self.generator, device=x.device)
        for index in keys.argsort(dim=1).split(size, dim=1):
            index = distributed.shard(index, dim=1)
            rows = table.index_select(0, index.reshape(-1))
            self._step(rows.unflatten(0, index.shape))

    def _learn(self, rows: Tensor) -> dict[str, Tensor]:
        """One gradient step on inputs, targets and cost [K, B, .] of each model."""
        sizes = len(self.ensemble.inputs.mean), self.ensemble.noisy_dim, 1
        x, target, cost = rows.split(sizes, dim=-1)
        losses = self.ensemble.negative_log_likelihood(
            x, target, cost.squeeze(-1), self.settings.beta_nll
        )
        self.optimizer.minimize(losses.sum() + self.ensemble.bound_penalty())
        return {}

    @torch.no_grad()
    def _holdout_loss(self, data: list[Tensor]) -> Tensor:
        """Negative log-likelihood of each model [K] on the holdout."""
        loss = self._mean(self.ensemble.negative_log_likelihood, data)
        distributed.broadcast([loss])  # all must stop at the same epoch
        return loss

    @torch.no_grad()
    def _keep(self, best: Tensor, weights: list[Tensor], loss: Tensor) -> Tensor:
        """Copy the weights of the models that are better than ever; returns the best losses."""
        better = loss < best
        for kept, p in zip(weights, self.ensemble.network.parameters(), strict=True):
            kept.copy_(torch.where(better[:, None, None], p, kept))
        return torch.where(better, loss, best)

    @torch.no_grad()
    def _relative_error(self, data: list[Tensor]) -> float:
        """Root mean squared holdout error in units of the targets' standard deviation."""

        def squared(x: Tensor, target: Tensor, cost: Tensor) -> Tensor:
            return (self.ensemble(x)[0] - target).square().mean()

        return float(self._mean(squared, data).sqrt())

    def _mean(self, figure: Callable[..., Tensor], data: list[Tensor]) -> Tensor:
        """The mean over rows, of all models, in parts: activations of all take gigabytes."""
        models, rows = self.ensemble.num_models, len(data[0])
        parts = zip(*(each.split(ROWS) for each in data), strict=True)
        sums = [
            len(part[0]) * figure(*(each.expand(models, *each.shape) for each in part))
            for part in parts
        ]
        return torch.stack(sums).sum(dim=0) / rows
