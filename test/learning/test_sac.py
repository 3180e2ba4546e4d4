# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SAC: its equations by hand, and a task that it solves."""

from __future__ import annotations

import collections
import copy
import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from random_batch import ACTIONS, STATES, one_state, random_batch, random_parts, sac_settings
from torch import Tensor
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from loop_ros.algorithms.sac import SAC
from loop_ros.learning.replay_buffer import ReplayBuffer
from loop_ros.models.networks import Actor
from loop_ros.types import Batch

SEED = 4


def make(**changes: Any) -> SAC:
    torch.manual_seed(0)
    settings = sac_settings(width=16, batch_size=8, **changes)
    return SAC(random_parts(settings), settings, torch.Generator().manual_seed(SEED))


def tanh_gaussian(mean: Tensor, std: Tensor) -> TransformedDistribution:
    return TransformedDistribution(Independent(Normal(mean, std), 1), [TanhTransform(cache_size=1)])


def test_log_probability_is_that_of_the_tanh_gaussian() -> None:
    torch.manual_seed(0)
    actor = Actor(STATES, ACTIONS, 16).double()
    state, noise = torch.randn(50, STATES).double(), torch.randn(50, ACTIONS).double()
    with torch.no_grad():
        action, log_prob = actor.sample(state, noise)
        mean, log_std = actor.network(state[None])[0].chunk(2, dim=-1)
    distribution = tanh_gaussian(mean, log_std.exp())
    torch.testing.assert_close(action, torch.tanh(mean + log_std.exp() * noise))
    torch.testing.assert_close(log_prob, distribution.log_prob(action), rtol=1e-6, atol=1e-6)


def test_log_probability_of_saturated_actions_is_exact() -> None:
    """At |u| = 30 tanh(u) is 1 in every float: log(1 - tanh^2) must come from u."""
    actor = Actor(1, 1, 4)
    with torch.no_grad():
        for p in actor.parameters():
            p.zero_()
    _, log_prob = actor.sample(torch.zeros(2, 1), torch.tensor([[30.0], [-30.0]]))
    normal = -0.5 * 30.0**2 - 0.5 * math.log(2 * math.pi)
    slope = math.log(4.0) - 60.0  # log(4 exp(-2u)), the limit of log(1 - tanh(u)^2)
    assert log_prob.tolist() == pytest.approx([normal - slope] * 2, rel=1e-6)


def test_the_actor_explores_and_has_a_mean() -> None:
    actor = make().actor
    state = random_batch().state
    with torch.no_grad():
        assert torch.equal(actor.act(state, torch.zeros(8, ACTIONS)), actor.mean(state))
        assert not torch.equal(actor.act(state, torch.ones(8, ACTIONS)), actor.mean(state))
        assert actor.act(1e6 * state, torch.ones(8, ACTIONS)).abs().max() <= 1.0


def constant(network: Any, values: list[float]) -> None:
    """Make a network say the same whatever it is asked."""
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        network.network.layers[-1].bias[:, 0] = torch.tensor(values)


@pytest.mark.parametrize('entropy_in_target', [True, False])
def test_bellman_target_by_hand(entropy_in_target: bool) -> None:
    """r + gamma (1 - terminated) (min(3, 5) - alpha log pi), with pi = tanh N(0.5, e^-1)."""
    sac = make(discount=0.9, entropy_in_target=entropy_in_target)
    constant(sac.critic_target, [[5.0], [3.0]])  # type: ignore[list-item]
    constant(sac.critic, [[-70.0], [-80.0]])  # type: ignore[list-item]
    constant(sac.actor, [[0.5, 0.5, -1.0, -1.0]])  # type: ignore[list-item]
    batch, entropy_coef = random_batch(), torch.tensor(0.2)
    noise = torch.randn(8, ACTIONS, generator=torch.Generator().manual_seed(SEED))
    target = sac.target(batch, noise, entropy_coef)
    noise = noise.double()
    std = math.exp(-1.0) * torch.ones(ACTIONS, dtype=torch.float64)
    mean = 0.5 * torch.ones(ACTIONS, dtype=torch.float64)
    log_prob = tanh_gaussian(mean, std).log_prob(torch.tanh(mean + std * noise))
    for i in range(8):
        value = 3.0 - (0.2 * log_prob[i].item() if entropy_in_target else 0.0)
        ended = i % 4 == 0
        expected = batch.reward[i].item() + (0.0 if ended else 0.9 * value)
        assert target[i].item() == pytest.approx(expected, rel=1e-5)


def test_the_target_is_the_lowest_of_critics_that_are_drawn() -> None:
    """Of 5, 3 and 9 two are drawn each time (REDQ): 3 is the lower one twice in three, 5 once."""
    sac = make(num_critics=3, target_critics=2)
    constant(sac.critic_target, [[5.0], [3.0], [9.0]])  # type: ignore[list-item]
    batch = random_batch()
    drawn = [sac.target_value(batch.state, batch.action) for _ in range(300)]
    assert all((values == values[0]).all() for values in drawn)
    counts = collections.Counter(values[0].item() for values in drawn)
    assert counts.keys() == {3.0, 5.0}
    assert counts[3.0] == pytest.approx(200, abs=30)


def test_all_critics_of_an_ensemble_learn() -> None:
    sac = make(num_critics=5)
    before = [p.clone() for p in sac.critic.parameters()]
    sac.update(random_batch())
    for old, now in zip(before, sac.critic.parameters(), strict=True):
        assert len(now) == 5 and (old != now).flatten(1).any(dim=1).all()


def test_target_critics_follow_at_the_polyak_rate() -> None:
    sac = make(tau=0.25, learning_rate=1e-2)
    before = [p.clone() for p in sac.critic_target.parameters()]
    sac.update(random_batch())
    for old, now, critic in zip(
        before, sac.critic_target.parameters(), sac.critic.parameters(), strict=True
    ):
        assert not torch.equal(old, critic)
        torch.testing.assert_close(now, 0.75 * old + 0.25 * critic)


def test_dropout_leaves_out_a_share_of_the_units_and_keeps_their_mean() -> None:
    sac = make(dropout=0.2)
    kept = sac._drop_units(torch.ones(2, 500, 100))
    assert kept.unique().tolist() == [0.0, 1.25]
    assert (kept == 0.0).double().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (kept == 0.0).double().mean(dim=1).std() < 0.05  # drawn for each unit and transition


def test_with_dropout_updates_differ_and_values_do_not() -> None:
    """Plans ask the critics too, and must not meet networks with holes."""
    learned = {}
    for dropout in 0.0, 0.2:
        sac, batch = make(dropout=dropout), random_batch()
        targets = [sac.target_value(batch.state, batch.action) for _ in range(2)]
        assert torch.equal(*targets) is (dropout == 0.0)
        sac.update(batch)
        values = [sac.critic(batch.state, batch.action).detach() for _ in range(2)]
        assert torch.equal(*values)
        learned[dropout] = values[0]
    assert not torch.equal(learned[0.0], learned[0.2])


def test_critics_move_towards_the_target() -> None:
    sac = make(learning_rate=5e-3, discount=0.0)
    batch = random_batch(64)
    batch = batch._replace(reward=batch.state[:, 0] - batch.action[:, 1])
    losses = [sac.update(batch)['critic_loss'].item() for _ in range(300)]
    assert losses[-1] < 0.1 * losses[0]
    # With no discount Q is the reward, for both critics.
    with torch.no_grad():
        errors = sac.critic(batch.state, batch.action) - batch.reward
    assert errors.abs().mean() < 0.3


def test_the_critic_step_is_the_gradient_of_both_squared_errors() -> None:
    """By plain SGD on a copy: the same first step of Adam (its sign, times the rate)."""
    sac = make(learning_rate=1e-3)
    twin = copy.deepcopy(sac.critic)
    batch = random_batch()
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(2, 8, ACTIONS, generator=generator)[1]  # after that of the states
    target = sac.target(batch, noise, torch.tensor(1.0))
    ((twin(batch.state, batch.action) - target) ** 2).mean(dim=1).sum().backward()
    sac.update(batch)
    for ours, theirs in zip(sac.critic.parameters(), twin.parameters(), strict=True):
        assert theirs.grad is not None
        clear = theirs.grad.abs() > 1e-5
        step = (ours - theirs)[clear]
        torch.testing.assert_close(step, -1e-3 * theirs.grad[clear].sign(), rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize('num', [2, 3])
def test_the_actor_climbs_the_lower_twin_or_the_mean(num: int) -> None:
    """Q1 rewards a large first action, Q2 (always lower) a small one: Q2 wins.

    With a third that is as the first, the mean rewards a large one.
    """
    sac = make(learning_rate=3e-3, initial_entropy_coef=0.0, num_critics=num)
    with torch.no_grad():
        for p in sac.critic.parameters():
            p.zero_()
        first, second, last = sac.critic.network.layers
        first.weight[:, STATES, 0], first.weight[:, STATES, 1] = 1.0, -1.0
        second.weight[:, 0, 0] = second.weight[:, 1, 1] = 1.0
        last.weight[:, :2, 0] = torch.tensor([1.0, -1.0])  # relu(a) - relu(-a) = a
        last.weight[1, :2, 0] *= -1.0
        last.bias[1] = -10.0
    sac.critic_optimizer.step = lambda _: None  # type: ignore[method-assign, assignment]
    batch = random_batch()
    action = batch.action[:, 0]
    values = sac.critic(batch.state, batch.action)
    torch.testing.assert_close(values, torch.stack((action, -action - 10, action))[:num])
    before = sac.actor.mean(batch.state)[:, 0].mean().item()
    for _ in range(50):
        sac.update(batch)
    moved = sac.actor.mean(batch.state)[:, 0].mean().item() - before
    assert moved > 0.3 if num == 3 else moved < -0.3


def test_the_actors_pass_leaves_the_critics_alone() -> None:
    sac = make()
    sac.critic_optimizer.step = lambda _: None  # type: ignore[method-assign, assignment]
    before = [p.clone() for p in sac.critic.parameters()]
    actor = [p.clone() for p in sac.actor.parameters()]
    sac.update(random_batch())
    assert all(torch.equal(a, b) for a, b in zip(before, sac.critic.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(actor, sac.actor.parameters(), strict=True))
    assert all(p.requires_grad for p in sac.critic.parameters())


@pytest.mark.parametrize(('log_std', 'rises'), [(-3.0, True), (0.0, False)])
def test_temperature_rises_while_there_is_too_little_entropy(log_std: float, rises: bool) -> None:
    """Aimed at -1 an action: std 0.05 has entropy -1.6, std 1 has about 0.5."""
    sac = make()
    constant(sac.actor, [[0.0, 0.0, log_std, log_std]])  # type: ignore[list-item]
    before = sac.log_entropy_coef.item()
    report = sac.update(random_batch(256))
    assert (sac.log_entropy_coef.item() > before) is rises
    assert (report['entropy'].item() < -2.0) is rises
    assert report['entropy_coef'].item() == pytest.approx(math.exp(before))


# --- CrossQ ---


def test_batch_normalised_values_and_their_target_share_one_batch() -> None:
    """Each critic's units are normalised over the states and those that follow, together."""
    sac, batch = make(batch_norm=True, discount=0.9, entropy_in_target=False), random_batch()
    noise = torch.randn(8, ACTIONS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        values, target = sac._with_next(batch, noise, torch.tensor(0.2))
        follows = sac.actor.act(batch.next_state, noise)
        x = torch.cat(
            (torch.cat((batch.state, batch.action), 1), torch.cat((batch.next_state, follows), 1))
        ).expand(2, 16, STATES + ACTIONS)
        for layer in sac.critic.network.layers:
            x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-3).sqrt()
            x = x @ layer.weight + layer.bias
            x = x.relu() if layer is not sac.critic.network.layers[-1] else x
    expected, following = x.squeeze(-1).chunk(2, dim=1)
    torch.testing.assert_close(values, expected)
    bellman = batch.reward + 0.9 * (1.0 - batch.terminated) * following.amin(dim=0)
    torch.testing.assert_close(target, bellman)


def test_batch_normalised_critics_learn_a_known_value_without_slow_copies() -> None:
    """One state, reward a, gamma 1/2: the best action, 1, is worth 1 + 1 from there on."""
    settings = sac_settings(
        width=32, discount=0.5, learning_rate=3e-3, initial_entropy_coef=0.01,
        entropy_in_target=False, batch_norm=True,
    )  # fmt: skip
    sac, buffer = one_state(settings)
    for _ in range(600):
        sac.update(buffer.sample(64, sac.generator))
    with torch.no_grad():
        value = sac.critic(torch.zeros(1, 1), torch.ones(1, 1)).mean().item()
    assert value == pytest.approx(2.0, abs=0.2)
    assert not any(name.startswith('critic_target') for name in sac.training_state().tensors())


def test_of_batch_normalised_critics_some_are_drawn_for_the_target() -> None:
    """Two of three each time: the target is now one pair's lowest value, now another's."""
    sac, batch = make(batch_norm=True, num_critics=3, target_critics=2), random_batch()
    noise, entropy_coef = torch.zeros(8, ACTIONS), torch.tensor(0.2)
    targets = [sac._with_next(batch, noise, entropy_coef)[1].detach() for _ in range(30)]
    assert 1 < len({tuple(target.tolist()) for target in targets}) <= 3


def test_one_batch_normalised_critic_of_many_is_what_it_is_among_them() -> None:
    sac, batch = make(batch_norm=True, num_critics=3), random_batch()
    for _ in range(3):
        sac.update(batch)
    with torch.no_grad():
        values = sac.critic(batch.state, batch.action)
        chosen = sac.critic(batch.state, batch.action, torch.tensor([2, 0]))
        torch.testing.assert_close(chosen, values[[2, 0]])
        torch.testing.assert_close(sac.critic.first(batch.state, batch.action), values[0])


@pytest.mark.parametrize('changes', [{}, {'dropout': 0.2}, {'batch_norm': True}])
def test_updates_are_seeded(changes: dict[str, Any]) -> None:
    def once() -> list[Tensor]:
        sac = make(**changes)
        for _ in range(3):
            sac.update(random_batch())
        return [*sac.actor.parameters(), *sac.critic.parameters(), sac.log_entropy_coef]

    assert all(torch.equal(a, b) for a, b in zip(once(), once(), strict=True))


class Pendulum:
    """gymnasium's Pendulum-v1 with actions in [-1, 1]."""

    def __init__(self, seed: int) -> None:
        self.env = gymnasium.make('Pendulum-v1')
        self.observation, _ = self.env.reset(seed=seed)

    def step(self, action: np.ndarray) -> tuple[Batch, bool]:
        observation, reward, _, truncated, _ = self.env.step(2.0 * action)
        values = (self.observation, action, float(reward) / 10.0, 0.0, observation, 0.0)
        rows = [torch.as_tensor(np.atleast_1d(v), dtype=torch.float32)[None] for v in values]
        batch = Batch(*(row if i in (0, 1, 4) else row[0] for i, row in enumerate(rows)))
        self.observation = self.env.reset()[0] if truncated else observation
        return batch, truncated


def pendulum_return(actor: Actor, episodes: int) -> float:
    """Mean return of the actor's mean action, 200 steps an episode."""
    total = 0.0
    for seed in range(episodes):
        pendulum = Pendulum(seed=1000 + seed)
        truncated = False
        while not truncated:
            with torch.no_grad():
                action = actor.mean(torch.as_tensor(pendulum.observation))
            batch, truncated = pendulum.step(action.numpy())
            total += 10.0 * batch.reward.item()
    return total / episodes


@pytest.mark.slow
@pytest.mark.timeout(300)  # 20 s alone on a core, a minute beside others
def test_sac_solves_pendulum() -> None:
    """Random actions get about -1,200; four seeds got -174 to -177 with these settings.

    The worst of the ten starts hangs down and costs -340 even when swung up at once; one start
    that is not swung up costs -1,400 and fails the test by itself.
    """
    settings = sac_settings(width=64, batch_size=64, learning_rate=2e-3, discount=0.98, tau=0.01)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    sac = SAC(random_parts(settings, 3, 1), settings, generator)
    actor = sac.actor
    buffer = ReplayBuffer(10_000, 3, 1)
    pendulum, rng = Pendulum(seed=0), np.random.default_rng(0)
    untrained = pendulum_return(actor, 3)
    for step in range(4000):
        if step < 500:
            action = rng.uniform(-1, 1, 1)
        else:
            with torch.no_grad():
                noise = torch.randn(1, generator=generator)
                action = actor.act(torch.as_tensor(pendulum.observation), noise).numpy()
        buffer.add(pendulum.step(action)[0])
        if step >= 500:
            sac.update(buffer.sample(settings.off_policy.batch_size, generator))
    assert untrained < -700
    assert pendulum_return(actor, 10) > -250
