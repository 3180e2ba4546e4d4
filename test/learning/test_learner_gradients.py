# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gradients worked out by hand are those of autograd, and Adam is that of torch.optim."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loop_ros.learning.adam import Adam
from loop_ros.learning.backprop import Backprop
from loop_ros.learning.ensemble_step import likelihood_gradient
from loop_ros.learning.squashed_gaussian import SquashedGaussian
from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, BatchedMLP
from loop_ros.settings import EnsembleSettings

STATES, ACTIONS, ROWS = 3, 2, 24


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize('outputs', [1, 4])
@pytest.mark.parametrize('layer_norm', [False, True])
@pytest.mark.parametrize('activation', ['relu', 'silu'])
@pytest.mark.parametrize('trained', [None, 10])
def test_a_networks_gradients(
    outputs: int, layer_norm: bool, activation: str, trained: int | None
) -> None:
    network = BatchedMLP(2, [5, 16, 12, outputs], activation, layer_norm)
    by_hand = Backprop(network, ROWS, trained)
    rows = trained or ROWS
    for _ in range(2):  # the second pass goes over the memory of the first
        x = torch.randn(ROWS, 5).expand(2, -1, -1).clone().requires_grad_()
        gradient = torch.randn(2, rows, outputs)
        out = network(x)
        out[:, :rows].backward(gradient)
        with torch.no_grad():
            torch.testing.assert_close(by_hand.forward(x), out)
            ours = by_hand.backward(gradient)
            of_inputs = by_hand.input_gradient(gradient, slice(2, None))
        for found, p in zip(ours, network.parameters(), strict=True):
            torch.testing.assert_close(found, p.grad)
            p.grad = None
        assert x.grad is not None
        torch.testing.assert_close(of_inputs, x.grad[:, :rows, 2:])


def test_it_sees_what_happens_to_the_parameters() -> None:
    network = BatchedMLP(2, [5, 16, 4])
    by_hand, x = Backprop(network, ROWS), torch.randn(2, ROWS, 5)
    other = BatchedMLP(2, [5, 16, 4])
    network.load_state_dict(other.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(by_hand.forward(x), other(x))


def test_the_policys_gradient() -> None:
    """Through tanh, both bounds of log_std (at 9 and -20) and saturated actions (at 40)."""
    out = torch.randn(ROWS, 2 * ACTIONS)
    out[0], out[1, ACTIONS:], out[2, 0] = 9.0, -20.0, 40.0
    out.requires_grad_()
    noise, weight = torch.randn(ROWS, ACTIONS), torch.randn(ROWS, ACTIONS)
    actor = Actor(1, ACTIONS, 4)
    actor.network.forward = lambda x: out  # type: ignore[method-assign, assignment]
    action, log_prob = actor.sample(torch.zeros(ROWS, 1), noise)
    ((action * weight).sum() + 0.3 * log_prob.sum()).backward()
    with torch.no_grad():
        policy = SquashedGaussian(out, noise)
        gradient = policy.gradient(weight, torch.tensor(0.3))
        part = policy.gradient(weight[:5], torch.tensor(0.3))
    torch.testing.assert_close(policy.action, action)
    torch.testing.assert_close(policy.log_prob, log_prob)
    torch.testing.assert_close(gradient, out.grad)
    assert out.grad is not None
    torch.testing.assert_close(part, out.grad[:5])


@pytest.mark.parametrize('learn', [True, False])
def test_the_likelihoods_gradient(learn: bool) -> None:
    settings = EnsembleSettings(num_models=3, width=16, learn_variance_bounds=learn)
    ensemble = Ensemble(STATES, ACTIONS, settings)
    size = ensemble.noisy_dim
    out = 4.0 * torch.randn(3, ROWS, 2 * size + 1)
    out[0, 0], out[0, 1] = 30.0, -30.0  # far beyond the bounds of the log-variance
    out.requires_grad_()
    target, cost = torch.randn(3, ROWS, size), torch.rand(3, ROWS)
    ensemble.network.forward = lambda x: out  # type: ignore[method-assign, assignment]
    loss = ensemble.negative_log_likelihood(torch.zeros(3, ROWS, 1), target, cost).sum()
    (loss + ensemble.bound_penalty()).backward()
    gradient = torch.empty_like(out)
    with torch.no_grad():
        bounds = likelihood_gradient(ensemble, out, target, cost.unsqueeze(-1), gradient)
    assert out.grad is not None
    torch.testing.assert_close(gradient, out.grad, rtol=1e-4, atol=1e-6)
    expected = [ensemble.max_log_var.grad, ensemble.min_log_var.grad] if learn else []
    torch.testing.assert_close(bounds, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('weight_decay', [0.0, 0.1])
def test_adam_is_torchs(weight_decay: float) -> None:
    ours = [torch.randn(4, 3), torch.randn(2)]
    theirs = [torch.nn.Parameter(p.clone()) for p in ours]
    adam = Adam(ours, 1e-2, weight_decay)
    reference = torch.optim.AdamW(theirs, lr=1e-2, weight_decay=weight_decay)
    for _ in range(5):
        gradients = [torch.randn_like(p) for p in ours]
        adam.step(gradients)
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient
        reference.step()
    torch.testing.assert_close(ours, [p.detach() for p in theirs])
    found = adam.tensors()
    for i, state in reference.state_dict()['state'].items():
        for name, value in state.items():
            torch.testing.assert_close(found[f'{i}.{name}'], value)
    assert len(found) == 6


def test_adam_resumes_or_refuses() -> None:
    def make() -> tuple[Tensor, Adam]:
        p = torch.ones(3)
        return p, Adam([p], 1e-2)

    (p, adam), (q, resumed) = make(), make()
    adam.step([torch.ones(3)])
    q.copy_(p)
    resumed.restore({name: value.clone() for name, value in adam.tensors().items()})
    for one in (adam, resumed):
        one.step([torch.tensor([1.0, -2.0, 0.0])])
    assert torch.equal(p, q)
    resumed.restore({})  # what torch.optim keeps before the first step
    assert all(not bool(value.any()) for value in resumed.tensors().values())
    with pytest.raises(ValueError, match=r'0\.exp_avg is \(4,\), expected \(3,\)'):
        resumed.restore(adam.tensors() | {'0.exp_avg': torch.zeros(4)})
    with pytest.raises(KeyError):
        resumed.restore({'0.step': torch.zeros(())})
