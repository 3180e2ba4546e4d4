# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CRR: its weights and its likelihood by hand, its updates by autograd, and what it learns."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from random_batch import ACTIONS, STATES, random_batch, random_parts, sac_settings
from torch import Tensor
from torch.nn import functional

from loop_ros.algorithms.crr import CRR
from loop_ros.models.networks import Actor, Critics
from loop_ros.types import Batch


def make(sac: dict[str, Any] | None = None, **changes: Any) -> CRR:
    settings = sac_settings('crr', **{'width': 16, 'batch_size': 8, **(sac or {})})
    settings = settings.replace({f'crr.{name}': value for name, value in changes.items()})
    torch.manual_seed(0)
    return CRR(random_parts(settings), settings, torch.Generator().manual_seed(4))


def make_linear(critic: Critics, slope: float) -> None:
    """Q1 = slope a_0 and Q2 = Q1 + 7."""
    with torch.no_grad():
        for p in critic.parameters():
            p.zero_()
        first, second, last = critic.network.layers
        first.weight[:, STATES, 0], first.weight[:, STATES, 1] = 1.0, -1.0
        second.weight[:, 0, 0] = second.weight[:, 1, 1] = 1.0
        last.weight[:, :2, 0] = torch.tensor([slope, -slope])  # relu(a) - relu(-a) = a
        last.bias[1] = 7.0


def actions(first: list[float]) -> Batch:
    batch = random_batch(len(first))
    return batch._replace(action=torch.tensor([[a, 0.3] for a in first]))


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, [math.exp(-2), math.exp(1), 20.0, 20.0]),  # e^3 is 20.09, beyond the limit
        ({'beta': 2.0}, [math.exp(-1), math.exp(0.5), math.exp(1.5), math.exp(2)]),
        ({'max_weight': 2.0}, [math.exp(-2), 2.0, 2.0, 2.0]),
        ({'weights': 'binary'}, [0.0, 1.0, 1.0, 1.0]),
    ],
)
def test_weights_by_hand(changes: dict[str, Any], expected: list[float]) -> None:
    """A policy that always says 0 and Q = 4 a: the advantage is 4 a."""
    crr = make(**changes)
    make_linear(crr.critic, 4.0)
    mean, log_std = torch.zeros(4, ACTIONS), torch.full((4, ACTIONS), -10.0)
    weights = crr.weights(actions([-0.5, 0.25, 0.75, 1.0]), mean, log_std)
    assert weights.tolist() == pytest.approx(expected, rel=1e-3)


def test_weights_of_any_advantage_are_finite() -> None:
    crr = make(beta=1e-6)
    make_linear(crr.critic, 1e6)
    weights = crr.weights(actions([-1.0, 1.0]), torch.zeros(2, 2), torch.zeros(2, 2))
    assert weights.tolist() == pytest.approx([0.0, 20.0])


def test_the_advantage_is_over_the_mean_of_m_actions() -> None:
    """Of the policy tanh N(0.2, 0.5), drawn for itself."""
    crr = make(num_samples=3, max_weight=1e6)
    make_linear(crr.critic, 1.0)
    mean, log_std = torch.full((2, ACTIONS), 0.2), torch.full((2, ACTIONS), math.log(0.5))
    weights = crr.weights(actions([0.5, -0.5]), mean, log_std)
    drawn = torch.randn(3, 2, ACTIONS, generator=torch.Generator().manual_seed(4))
    baseline = torch.tanh(0.2 + 0.5 * drawn[..., 0]).mean(dim=0)
    torch.testing.assert_close(weights, (torch.tensor([0.5, -0.5]) - baseline).exp())


def test_target_is_of_the_slow_copies() -> None:
    """r + gamma (1 - terminated) min(Q'); the fast critics say something else."""
    crr = make({'discount': 0.5})
    make_linear(crr.critic_target, 0.0)
    make_linear(crr.critic, 100.0)
    batch = random_batch()
    torch.testing.assert_close(crr.target(batch), batch.reward)  # min(0, 7)
    make_linear(crr.critic_target, 10.0)
    with torch.no_grad():
        for p in crr.actor_target.parameters():
            p.zero_()
        bias: Any = crr.actor_target.network.layers[-1].bias
        bias[0, 0] = torch.tensor([0.5, 0.5, -100.0, -100.0])
    expected = batch.reward + 0.5 * (1.0 - batch.terminated) * 10.0 * math.tanh(0.5)
    torch.testing.assert_close(crr.target(batch), expected, rtol=1e-3, atol=1e-3)


def test_likelihood_of_the_policys_own_actions() -> None:
    torch.manual_seed(0)
    actor, state = Actor(STATES, ACTIONS, 16), torch.randn(50, STATES)
    with torch.no_grad():
        action, log_prob = actor.sample(state, 0.5 * torch.randn(50, ACTIONS))
        assert action.abs().max() < Actor.EDGE
        found = actor.log_prob(*actor.gaussian(state), action)
        torch.testing.assert_close(found, log_prob, rtol=1e-3, atol=1e-3)


def plain_log_prob(out: Tensor, action: Tensor) -> Tensor:
    """As torch.distributions has it, without the slope of tanh, which depends on no parameter."""
    mean, log_std = out.chunk(2, dim=-1)
    raw = torch.atanh(action.clamp(-Actor.EDGE, Actor.EDGE))
    normal = torch.distributions.Normal(mean, log_std.clamp(*Actor.LOG_STD_BOUNDS).exp())
    return (normal.log_prob(raw) - torch.log1p(-(torch.tanh(raw) ** 2))).sum(-1)


def test_updates_are_those_of_the_losses() -> None:
    """Written down as losses, by autograd and torch.optim; a given target too."""
    crr = make({'learning_rate': 1e-3, 'tau': 0.25}, num_samples=3)
    plain = copy.deepcopy(crr)
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=1e-3) for network in (plain.critic, plain.actor)
    ]
    for number, size in enumerate((8, 8, 5, 8)):
        batch = random_batch(size, seed=number)
        given = batch.reward if number == 3 else None
        report = crr.update(batch, given)
        target = plain.target(batch) if given is None else given
        critic_loss = sum(functional.mse_loss(q, target) for q in plain.critic(*batch[:2]))
        step(optimizers[0], critic_loss)
        out = plain.actor.network(batch.state[None])[0]
        weights = plain.weights(
            batch, *(part.detach() for part in plain.actor.gaussian(batch.state))
        )
        actor_loss = -(weights * plain_log_prob(out, batch.action)).mean()
        step(optimizers[1], actor_loss)
        with torch.no_grad():
            for slow, fast in (
                (plain.critic_target, plain.critic),
                (plain.actor_target, plain.actor),
            ):
                for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                    p.copy_(0.75 * p + 0.25 * q)
        expected = {'critic_loss': critic_loss, 'actor_loss': actor_loss, 'weight': weights.mean()}
        for name, value in expected.items():
            torch.testing.assert_close(report[name], value.detach(), rtol=1e-4, atol=1e-5)
    for part in ('actor', 'critic', 'actor_target', 'critic_target'):
        pairs = zip(getattr(crr, part).parameters(), getattr(plain, part).parameters(), strict=True)
        for ours, theirs in pairs:
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-5)


def step(optimizer: torch.optim.Optimizer, loss: Any) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@pytest.mark.parametrize('weights', ['exp', 'binary'])
def test_crr_imitates_the_better_half_of_fixed_data(weights: str) -> None:
    """Actions at random, the best of them 0.5 and -0.5; imitation alone would say 0."""
    crr = make({'learning_rate': 3e-3, 'discount': 0.0}, weights=weights, beta=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        action = 2.0 * torch.rand(64, ACTIONS, generator=generator) - 1.0
        reward = -(action - torch.tensor([0.5, -0.5])).square().sum(dim=1)
        batch = random_batch(64)._replace(action=action, reward=reward)
        crr.update(batch)
    with torch.no_grad():
        mean = crr.actor.mean(random_batch().state).mean(dim=0)
    assert mean.tolist() == pytest.approx([0.5, -0.5], abs=0.15)
