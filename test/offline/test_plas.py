# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PLAS: its losses and target by hand, its updates by autograd, and what it learns."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from random_batch import ACTIONS, STATES, random_batch, random_parts, sac_settings
from torch import Tensor
from torch.nn import functional

from loop_ros.algorithms.plas import PLAS

LATENT = 4


def make(sac: dict[str, Any] | None = None, **changes: Any) -> PLAS:
    own = {'vae_width': 16, 'vae_updates': 0, **changes}
    settings = sac_settings('plas', **{'width': 16, 'batch_size': 8, **(sac or {})})
    settings = settings.replace({f'plas.{name}': value for name, value in own.items()})
    torch.manual_seed(0)
    return PLAS(random_parts(settings), settings, torch.Generator().manual_seed(4))


def set_constant(network: Any, outputs: list[list[float]]) -> None:
    """Networks that say the same of everything; `outputs` [num, O]."""
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        network.layers[-1].bias[:, 0] = torch.tensor(outputs)


def test_target_by_hand() -> None:
    """Twins at 4 and 8: r + 0.5 (0.75 * 4 + 0.25 * 8) = r + 2.5, and r at the end."""
    plas = make({'discount': 0.5})
    set_constant(plas.critic_target.network, [[4.0], [8.0]])
    set_constant(plas.critic.network, [[100.0], [100.0]])
    batch = random_batch()
    expected = batch.reward + 2.5 * (1.0 - batch.terminated)
    torch.testing.assert_close(plas.target(batch), expected)


def test_target_asks_the_slow_policy() -> None:
    plas = make({'discount': 1.0})
    batch = random_batch()
    slow = copy.deepcopy(plas.actor)
    set_constant(plas.policy_target, [[0.5, -0.5, 100.0, 0.0]])
    latent = 2.0 * torch.tensor([math.tanh(0.5), -math.tanh(0.5), 1.0, 0.0]).expand(8, -1)
    with torch.no_grad():
        low, high = plas.critic_target(
            batch.next_state, slow.decode(batch.next_state, latent)
        ).sort(dim=0)[0]
    expected = batch.reward + (1.0 - batch.terminated) * (0.75 * low + 0.25 * high)
    torch.testing.assert_close(plas.target(batch), expected)


def test_the_autoencoders_loss_by_hand() -> None:
    """The code is N(1, e^-1) in each dimension, decoded to tanh(0.5), the actions are 0.

    Reconstruction: tanh(0.5)^2. Divergence of a dimension: -(1 - 2 - 1 - e^-2) / 2.
    """
    plas = make(vae_updates=1)
    set_constant(plas.encoder, [[1.0] * LATENT + [-1.0] * LATENT])
    set_constant(plas.actor.decoder, [[0.5, 0.5]])
    batch = random_batch()
    report = plas.update(batch._replace(action=torch.zeros(8, ACTIONS)))
    reconstruction, divergence = math.tanh(0.5) ** 2, 0.5 * (2.0 + math.exp(-2.0))
    assert float(report['reconstruction']) == pytest.approx(reconstruction)
    assert float(report['divergence']) == pytest.approx(divergence)
    assert float(report['vae_loss']) == pytest.approx(reconstruction + 0.5 * divergence)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def plain(network: Any) -> Any:
    return copy.deepcopy(network).requires_grad_(True)


def assert_same(one: Any, two: Any) -> None:
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-3, atol=2e-5)


def test_the_autoencoders_updates_are_those_of_its_loss() -> None:
    plas = make(vae_updates=4, vae_learning_rate=1e-3)
    encoder, decoder = plain(plas.encoder), plain(plas.actor)
    noise = torch.Generator().manual_seed(4)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.decoder.parameters()], lr=1e-3)
    before = copy.deepcopy(plas.actor.policy)
    for number, size in enumerate((8, 8, 5, 8)):
        batch = random_batch(size, seed=number)
        report = plas.update(batch)
        mean, raw = encoder(torch.cat(batch[:2], dim=-1)[None])[0].chunk(2, dim=-1)
        std = raw.clamp(-4, 15).exp()
        code = torch.distributions.Normal(mean, std)
        z = mean + std * torch.randn(size, LATENT, generator=noise)
        standard = torch.distributions.Normal(0.0, 1.0)
        divergence = torch.distributions.kl_divergence(code, standard).mean()
        loss = functional.mse_loss(decoder.decode(batch.state, z), batch.action) + 0.5 * divergence
        torch.testing.assert_close(report['vae_loss'], loss.detach())
        step(optimizer, loss)
    assert_same(plas.encoder, encoder)
    assert_same(plas.actor.decoder, decoder.decoder)
    assert_same(plas.actor.policy, before)


def test_policy_and_critics_updates_are_those_of_their_losses() -> None:
    plas = make({'learning_rate': 1e-3, 'tau': 0.25}, actor_learning_rate=2e-3)
    other = copy.deepcopy(plas)
    actor, critic = plain(plas.actor), plain(plas.critic)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    actor_optimizer = torch.optim.Adam(actor.policy.parameters(), lr=2e-3)
    for number, size in enumerate((8, 8, 5, 8)):
        batch = random_batch(size, seed=number)
        target = other.target(batch)
        report = plas.update(batch)
        critic_loss = sum(functional.mse_loss(q, target) for q in critic(*batch[:2]))
        assert isinstance(critic_loss, Tensor)
        step(critic_optimizer, critic_loss)
        actor_loss = -critic.first(batch.state, actor.mean(batch.state)).mean()
        step(actor_optimizer, actor_loss)
        torch.testing.assert_close(report['critic_loss'], critic_loss.detach())
        torch.testing.assert_close(report['actor_loss'], actor_loss.detach())
        with torch.no_grad():
            for slow, fast in (
                (other.policy_target, actor.policy),
                (other.critic_target, critic),
            ):
                for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
                    p.copy_(0.75 * p + 0.25 * q)
    for one, two in (
        (plas.actor.policy, actor.policy),
        (plas.critic, critic),
        (plas.policy_target, other.policy_target),
        (plas.critic_target, other.critic_target),
        (plas.actor.decoder, other.actor.decoder),
    ):
        assert_same(one, two)


def test_the_latent_action_stays_within_two() -> None:
    actor = make().actor
    with torch.no_grad():
        for p in actor.policy.parameters():
            p.mul_(1e3)
    assert float(actor.latent(torch.randn(50, STATES)).abs().max().detach()) == pytest.approx(2.0)


def test_act_is_the_mean_for_any_shape() -> None:
    actor, states = make().actor, torch.randn(5, 7, STATES)
    noise = torch.randn(5, 7, ACTIONS)
    with torch.no_grad():
        expected = torch.stack([actor.mean(row) for row in states])
        torch.testing.assert_close(actor.act(states, noise), expected)


def test_plas_does_the_best_of_the_data_and_invents_nothing() -> None:
    """A bandit worth its actions, which the data hold up to 0.6.

    Imitation would say 0 on the average, the best action of a critic alone 1.
    """
    plas = make(
        {'learning_rate': 3e-3, 'discount': 0.0},
        vae_updates=500, vae_width=32, vae_learning_rate=3e-3, actor_learning_rate=3e-3,
        kl_weight=0.02,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    for _ in range(800):
        action = 1.2 * torch.rand(64, ACTIONS, generator=generator) - 0.6
        plas.update(random_batch(64)._replace(action=action, reward=action.mean(dim=1)))
    with torch.no_grad():
        worth = plas.actor.mean(random_batch().state).mean()
    assert float(worth) == pytest.approx(0.6, abs=0.15)


def test_training_resumes_where_it_was() -> None:
    """In the middle of the autoencoder's updates too."""
    one, two = make(vae_updates=3), make(vae_updates=3)
    for number in range(2):
        one.update(random_batch(seed=number))
    two.actor.load_state_dict(one.actor.state_dict())
    two.critic.load_state_dict(one.critic.state_dict())
    saved = {name: t.clone() for name, t in one.training_state().tensors().items()}
    two.training_state().restore(saved)
    two.generator.set_state(one.generator.get_state())
    for number in range(2, 6):
        assert one.update(random_batch(seed=number)) == two.update(random_batch(seed=number))
    for name, value in one.training_state().tensors().items():
        assert torch.equal(value, two.training_state().tensors()[name])
