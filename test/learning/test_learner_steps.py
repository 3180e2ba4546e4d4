# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Updates of SAC and of the ensemble are those of their losses by autograd and torch.optim."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from random_batch import ACTIONS, STATES, random_batch
from torch import Tensor
from torch.nn import functional

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.algorithms.sac import SAC
from loop_ros.learning.cuda_graph import Graphed
from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, TwinCritic
from loop_ros.settings import EnsembleSettings, SacSettings
from loop_ros.sim import registry
from loop_ros.types import Batch

ROWS = 24


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class PlainSAC:
    """The same updates written down as losses, by autograd and torch.optim."""

    def __init__(self, sac: SAC) -> None:
        self.settings, self.generator = sac.settings, copy.deepcopy(sac.generator.get_state())
        self.actor, self.critic = copy.deepcopy(sac.actor), copy.deepcopy(sac.critic)
        self.critic_target = copy.deepcopy(sac.critic_target)
        self.log_entropy_coef = sac.log_entropy_coef.clone().requires_grad_()
        self.target_entropy = sac.target_entropy
        rate = self.settings.learning_rate
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=rate)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=rate)
        self.entropy_optimizer = torch.optim.Adam([self.log_entropy_coef], lr=rate)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        settings, size = self.settings, len(batch.reward)
        generator = torch.Generator()
        generator.set_state(self.generator)
        noise, next_noise = torch.randn(2 * size, ACTIONS, generator=generator).chunk(2)
        self.generator = generator.get_state()
        entropy_coef = self.log_entropy_coef.detach().exp()
        with torch.no_grad():
            action, log_prob = self.actor.sample(batch.next_state, next_noise)
            value = self.critic_target(batch.next_state, action).amin(dim=0)
            if settings.entropy_in_target:
                value = value - entropy_coef * log_prob
            target = batch.reward + settings.discount * (1.0 - batch.terminated) * value
        values = self.critic(batch.state, batch.action)
        critic_loss = functional.mse_loss(values[0], target) + functional.mse_loss(
            values[1], target
        )
        self.step(self.critic_optimizer, critic_loss)
        action, log_prob = self.actor.sample(batch.state, noise)
        value = self.critic(batch.state, action).amin(dim=0)
        actor_loss = (entropy_coef * log_prob - value).mean()
        self.step(self.actor_optimizer, actor_loss)
        log_prob = log_prob.detach()
        self.step(
            self.entropy_optimizer,
            -(self.log_entropy_coef * (log_prob + self.target_entropy)).mean(),
        )
        with torch.no_grad():
            for slow, p in zip(
                self.critic_target.parameters(), self.critic.parameters(), strict=True
            ):
                slow.mul_(1.0 - settings.tau).add_(settings.tau * p)
        return {
            'critic_loss': critic_loss.detach(),
            'actor_loss': actor_loss.detach(),
            'entropy': -log_prob.mean(),
            'entropy_coef': entropy_coef,
        }

    @staticmethod
    def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def tensors(self) -> list[Tensor]:
        networks = (self.actor, self.critic, self.critic_target)
        found = [p.detach() for network in networks for p in network.parameters()]
        return [*found, self.log_entropy_coef.detach()]


@pytest.mark.parametrize('layer_norm', [False, True])
@pytest.mark.parametrize('entropy_in_target', [False, True])
def test_sac_updates_are_those_of_its_losses(layer_norm: bool, entropy_in_target: bool) -> None:
    settings = SacSettings(
        width=16, layer_norm=layer_norm, entropy_in_target=entropy_in_target, learning_rate=1e-3
    )
    actor, critic = Actor(STATES, ACTIONS, 16), TwinCritic(STATES, ACTIONS, 16, layer_norm)
    sac = SAC(actor, critic, ACTIONS, settings, torch.Generator().manual_seed(0))
    plain = PlainSAC(sac)
    for number, size in enumerate((ROWS, ROWS, 16, ROWS, ROWS)):  # each size has its own memory
        batch = random_batch(size, number)
        ours, theirs = sac.update(batch), plain.update(batch)
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-5, msg=name)
    parts = (*sac.actor.parameters(), *sac.critic.parameters(), *sac.critic_target.parameters())
    for p, q in zip((*parts, sac.log_entropy_coef), plain.tensors(), strict=True):
        torch.testing.assert_close(p.detach(), q, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize('learn', [True, False])
def test_ensemble_epochs_are_those_of_its_loss(learn: bool) -> None:
    """56 transitions in batches of 24 and a rest of 8."""
    settings = EnsembleSettings(
        num_models=3,
        num_layers=2,
        width=16,
        weight_decay=0.01,
        batch_size=24,
        learn_variance_bounds=learn,
    )
    ensemble = Ensemble(STATES, ACTIONS, settings)
    plain = copy.deepcopy(ensemble)
    trainer = EnsembleTrainer(ensemble, settings, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(
        [p for p in plain.parameters() if p.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    x, target, cost = torch.randn(56, STATES + ACTIONS), torch.randn(56, STATES + 1), torch.rand(56)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        trainer._epoch([x, target, cost])
        for index in torch.rand(3, 56, generator=generator).argsort(dim=1).split(24, dim=1):
            loss = plain.negative_log_likelihood(x[index], target[index], cost[index])
            optimizer.zero_grad()
            (loss.sum() + plain.bound_penalty()).backward()
            optimizer.step()
    for p, q in zip(ensemble.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=2e-5)


def test_the_shipped_training_state_is_taken_over() -> None:
    """It was written by torch.optim; what it says of the moments is what goes on."""
    folder = checkpoint.resolve('shipped', 'drift_car')
    assert folder is not None
    agent = Agent.load(folder, registry.task('drift_car'))
    saved, _ = checkpoint.unpack(checkpoint.read(folder)[0]['training'], 'training')
    learner = agent.learner
    now = learner.tensors()
    assert saved.keys() == now.keys()
    for name, value in saved.items():
        torch.testing.assert_close(now[name], value)
    steps = now['critic_optimizer.0.step'].clone()
    report = agent.learner.update(stop=lambda: True)
    assert np.isfinite(list(report.values())).all()
    updates = agent.settings.sac.updates_per_step
    assert learner.tensors()['critic_optimizer.0.step'] == steps + updates


def test_a_step_that_cannot_be_captured_runs_eagerly() -> None:
    """Once a call, before and after the attempt, with one warning."""
    if torch.cuda.is_available():
        pytest.skip('captures succeed here')
    calls: list[int] = []
    step = Graphed(lambda: calls.append(0), torch.device('cuda'))
    with pytest.warns(UserWarning, match='without a CUDA graph') as warned:
        for expected in range(1, 7):
            step()
            assert len(calls) == expected
    assert len(warned) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_graphs_compute_what_eager_steps_do() -> None:
    def learned(device: str, count: int) -> list[Tensor]:
        torch.manual_seed(0)
        actor, critic = Actor(STATES, ACTIONS, 16), TwinCritic(STATES, ACTIONS, 16, True)
        generator = torch.Generator(device).manual_seed(0)
        settings = SacSettings(width=16, layer_norm=True)
        sac = SAC(actor.to(device), critic.to(device), ACTIONS, settings, generator)
        batch = Batch(*(part.to(device) for part in random_batch(ROWS)))
        for _ in range(count):
            if eager:
                sac._work = None  # fresh memory has no graph yet
            sac.update(batch)
        return [p.detach().cpu() for p in (*actor.parameters(), *critic.parameters())]

    eager = True
    expected = learned('cuda', 10)
    eager = False
    torch.testing.assert_close(learned('cuda', 10), expected, rtol=1e-4, atol=1e-5)
