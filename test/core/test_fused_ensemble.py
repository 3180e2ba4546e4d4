# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fused rollout against the eager one: on a GPU as compiled, else in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.fused_ensemble import FusedEnsemble
from loop_ros.models.networks import Actor, Critics
from loop_ros.models.parts import Parts
from loop_ros.models.planning_ensemble import PlanningEnsemble
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.settings import EnsembleSettings, OffPolicySettings, PlannerSettings
from loop_ros.sim.drift_car import TASK

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
HERE = Path(__file__).resolve().parents[1] / 'support'
HORIZON = 3


def make(state: int, action: int, models: int, layers: int, width: int) -> Ensemble:
    """Random weights and scales."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        settings = EnsembleSettings(num_models=models, num_layers=layers, width=width)
        ensemble = Ensemble(state, action, settings)
        for scales in (ensemble.inputs, ensemble.targets):
            scales.mean.normal_()
            scales.std.uniform_(0.3, 2.0)
    return ensemble.to(DEVICE)


def draw(ensemble: Ensemble, num: int, particles: int) -> tuple[Tensor, Tensor, Tensor]:
    """A state [S], actions [H, N, A] laid out as the planner's, and noise [H, K, P, S+1]."""
    generator = torch.Generator().manual_seed(1)
    state, noisy = ensemble.state_dim, ensemble.noisy_dim
    action = ensemble.network.layers[0].weight.shape[1] - state
    shapes = ((state,), (num, HORIZON, action), (HORIZON, ensemble.num_models, particles, noisy))
    start, sequences, noise = (torch.randn(s, generator=generator).to(DEVICE) for s in shapes)
    return start, sequences.transpose(0, 1), noise


@pytest.mark.parametrize(
    ('sizes', 'num', 'particles', 'block'),
    [
        ((6, 2, 5, 4, 200), 7, 3, 16),  # 21 rows: the last block is not full
        ((17, 6, 1, 2, 128), 16, 1, 16),  # one model; a full block
        ((26, 2, 2, 3, 256), 3, 4, 64),
        ((1, 1, 2, 1, 8), 33, 1, 32),  # one hidden layer: nothing between hidden layers
    ],
)
@pytest.mark.parametrize(('dtype', 'share'), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_a_fused_rollout_equals_the_eager_one(
    sizes: tuple[int, ...], num: int, particles: int, block: int, dtype: torch.dtype, share: float
) -> None:
    """To within a share of how far the numbers spread."""
    ensemble = make(*sizes)
    state, actions, noise = draw(ensemble, num, particles)
    fused, eager = FusedEnsemble(ensemble, dtype, block), PlanningEnsemble(ensemble, dtype)
    for drawn in (noise, None):
        ours, theirs = fused.roll(state, actions, drawn), eager.roll(state, actions, drawn)
        for name, mine, other in zip(ours._fields, ours, theirs, strict=True):
            assert mine.shape == other.shape, name
            assert (mine - other).abs().max() <= share * (1.0 + other.std()), name
    states = torch.randn(ensemble.num_models, 5, ensemble.state_dim).to(DEVICE)
    choice = torch.randn(ensemble.num_models, 5, actions.shape[-1]).to(DEVICE)
    step, expected = fused.step(states, choice), eager.step(states, choice)
    assert (step - expected).abs().max() <= share * (1.0 + expected.std())
    before = step.clone()
    fused.step(states + 1.0, choice)
    assert torch.equal(step, before), "a step is its caller's to keep"


def test_a_plan_over_fused_rollouts_equals_one_over_eager_ones() -> None:
    """With proposals of the actor, particles and the final evaluation."""
    settings = PlannerSettings(
        horizon=HORIZON, num_samples=20, num_particles=2, num_iterations=3, actor_fraction=0.2,
        mean_update=0.9, rollout_dtype='float32', cost_source='learned',
    )  # fmt: skip
    ensemble = make(4, 2, 3, 2, 20)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        actor = Actor(4, 2, 8).to(DEVICE)
        critic = Critics(4, 2, OffPolicySettings(width=8)).to(DEVICE)
    solutions = []
    for copy in (FusedEnsemble, PlanningEnsemble):
        rollout = Rollout(Parts(ensemble, actor, critic), TASK, copy)
        planner = Planner(rollout, torch.Generator(DEVICE).manual_seed(0))
        for state in torch.linspace(-1.0, 1.0, 8, device=DEVICE).view(2, 4):
            solutions.append(planner.plan(state, settings))
    for ours, theirs in zip(solutions[:2], solutions[2:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        assert ours.sequence.abs().max() > 0.1


def test_refreshed_weights_are_the_ones_that_are_used() -> None:
    ensemble = make(3, 2, 2, 3, 20)
    state, actions, noise = draw(ensemble, 4, 2)
    fused = FusedEnsemble(ensemble)
    stale = fused.roll(state, actions, noise).states.clone()
    with torch.no_grad():
        for tensor in (*ensemble.parameters(), *ensemble.buffers()):
            tensor.mul_(1.1)
    assert torch.equal(fused.roll(state, actions, noise).states, stale)
    fused.refresh()
    fresh = fused.roll(state, actions, noise).states
    expected = PlanningEnsemble(ensemble).roll(state, actions, noise).states
    torch.testing.assert_close(fresh, expected, rtol=1e-4, atol=1e-4)
    assert (fresh - stale).abs().max() > 1e-2


def test_a_nan_stays_in_its_model_and_its_sequence() -> None:
    """As in the eager rollout, number by number."""
    ensemble = make(3, 2, 3, 2, 20)
    state, actions, noise = draw(ensemble, 20, 2)
    actions = actions.contiguous()
    actions[1, 4, 0] = torch.nan  # from the second step on
    with torch.no_grad():
        ensemble.network.layers[0].weight[2, 0, 5] = torch.nan
        ensemble.network.layers[-1].bias[0, 0, -1] = torch.nan  # a cost of which nothing comes
    ours = FusedEnsemble(ensemble, block=16).roll(state, actions, noise)
    theirs = PlanningEnsemble(ensemble).roll(state, actions, noise)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.isnan(), other.isnan())
    broken = ours.states.isnan().any(dim=-1)
    assert broken[:, 2].all()
    assert broken[:, :2].sum() == 2 * 2 * 2  # steps, models, particles


@pytest.mark.parametrize('capability', ['80', '90'])
def test_the_kernel_compiles_for_gpus_that_are_not_here(capability: str) -> None:
    """The interpreter accepts what the compiler does not. 99 KiB of shared memory is the least
    that a GPU with bfloat16 has (8.6 and 8.9)."""
    result = subprocess.run(
        [sys.executable, str(HERE / 'compile_fused_ensemble.py'), capability],
        capture_output=True, text=True, timeout=100, env=os.environ | {'TRITON_INTERPRET': '0'},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    shared, tensor_cores = result.stdout.split()
    assert int(shared) <= 99 * 1024
    assert tensor_cores == 'True'
