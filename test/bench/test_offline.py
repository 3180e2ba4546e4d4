# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of CRR and PLAS: what is trained on what and for how long, also beside d3rlpy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import offline
import pytest
import tiny
import torch

from loop_ros.bags.writer import BagWriter
from loop_ros.bench import offline as bench
from loop_ros.cli.main import main
from loop_ros.runner import run_episode
from loop_ros.sim import registry


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    with BagWriter(tmp_path / 'bag', tiny.TASK) as writer:
        for transition in tiny.transitions(250):
            writer.write(transition)
    return tmp_path / 'bag'


def peer(algorithm: str, **changes: Any) -> bench.Peer:
    """d3rlpy's, on what the training of the same settings draws from."""
    ours = offline.training(algorithm, **changes)
    kept = ours.data.batch.take(~ours.held_out)
    module = pytest.importorskip('d3rlpy')
    return bench.Peer(module, tiny.TASK, ours.agent.settings, kept, 'cpu', seed=0)


def parameters(network: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in network.parameters()])


def test_without_d3rlpy_ours_is_measured_and_the_remedy_named(
    bag: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, 'd3rlpy', None)
    command = ['bench', 'offline', '--bags', str(bag), '--task', 'drift_car', '--json']
    command += ['--updates', '30', '--episodes', '2', '--set', 'plas.vae_width=8']
    assert main(command) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row['algorithm'], row['trains'], row['updates']) for row in rows] == [
        ('crr', 'actor and critics', 30),
        ('plas', 'autoencoder', 15),
        ('plas', 'policy and critics', 15),
    ]
    for row in rows:
        assert row['ours_per_s'] > 0
        assert row['peer_per_s'] is None and row['ratio'] is None
        assert row['peer'].startswith('missing d3rlpy: pip install --no-deps d3rlpy==')
        assert row['transitions'] == 250
    for row in (rows[0], rows[2]):
        assert row['ours_return'] < 0 and row['peer_return'] is None
    assert 'ours_return' not in rows[1], 'there is no policy yet'


@pytest.mark.parametrize(
    ('vae_updates', 'expected'), [(0, [20]), (5, [5, 15]), (20, [20]), (100, [20])]
)
def test_updates_of_plas_are_the_autoencoders_first(vae_updates: int, expected: list[int]) -> None:
    found = bench.phases(offline.settings('plas', plas__vae_updates=vae_updates), 20)
    assert [phase.updates for phase in found] == expected
    assert found[0].trains == ('autoencoder' if vae_updates else 'policy and critics')


def test_each_phase_takes_its_updates() -> None:
    training = offline.training('plas', plas__vae_updates=30)
    spent = bench.phases(training.agent.settings, 70)
    bench.train(training, None, spent[:1])
    policy = parameters(training.agent.actor.policy)
    assert training.updates == 30
    bench.train(training, None, spent[1:])
    assert training.updates == 70
    assert not torch.equal(parameters(training.agent.actor.policy), policy)


def test_returns_are_those_of_episodes_without_planning() -> None:
    training = offline.training('crr', planner__algorithm='actor')
    agent = training.agent
    agent.version = 1  # the actor acts as it is
    found = bench.returns(tiny.TASK, agent.act_without_planning, 2, seed=5)
    env = registry.make('drift_car')
    expected = [sum(run_episode(env, agent, 0, seed=seed).rewards) for seed in (5, 6)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[0] != found[1]


@pytest.mark.parametrize('algorithm', ['crr', 'plas'])
def test_d3rlpy_has_the_same_settings(algorithm: str) -> None:
    found = peer(algorithm, sac__width=12, sac__tau=0.02, sac__discount=0.9, crr__beta=3.0)
    config, modules = found.algorithm.config, found.algorithm.impl.modules
    assert (config.gamma, config.tau, config.batch_size) == (0.9, 0.02, 8)
    assert len(modules.q_funcs) == 2
    critic = [p.shape for p in modules.q_funcs[0].parameters() if p.ndim == 2]
    assert critic == [(12, tiny.TASK.state_dim + 2), (12, 12), (1, 12)]
    if algorithm == 'crr':
        assert (config.beta, config.n_action_samples, config.target_update_type) == (3.0, 4, 'soft')
    else:
        assert (config.critic_learning_rate, config.warmup_steps, config.lam) == (1e-3, 4, 0.75)
        assert [p.shape[0] for p in modules.vae_decoder.parameters() if p.ndim == 2] == [8, 8, 2]


def test_d3rlpy_learns_from_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    found, training = peer('crr'), offline.training('crr')
    batches = []
    monkeypatch.setattr(found.algorithm, 'update', batches.append)
    for _ in range(3):
        found.update()
    rows = {tuple(row) for row in training._table[:, : 2 * tiny.TASK.state_dim + 2].tolist()}
    for batch in batches:
        parts = batch.observations, batch.actions, batch.next_observations
        drawn = np.concatenate(parts, axis=1).tolist()
        assert len(drawn) == 8 and all(tuple(row) in rows for row in drawn)
        assert batch.rewards.shape == batch.terminals.shape == (8, 1)


def test_d3rlpys_plas_warms_up_as_long_as_ours() -> None:
    found = peer('plas', plas__vae_updates=3)
    modules = found.algorithm.impl.modules
    policy, decoder = parameters(modules.policy), parameters(modules.vae_decoder)
    for _ in range(3):
        found.update()
    assert torch.equal(parameters(modules.policy), policy)
    assert not torch.equal(parameters(modules.vae_decoder), decoder)
    decoder = parameters(modules.vae_decoder)
    found.update()
    assert not torch.equal(parameters(modules.policy), policy)
    assert torch.equal(parameters(modules.vae_decoder), decoder)


def test_a_row_beside_d3rlpy(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('d3rlpy')
    command = ['bench', 'offline', '--bags', str(bag), '--task', 'drift_car', '--json']
    command += ['--updates', '8', '--episodes', '1', '--set', 'plas.vae_width=8']
    assert main(command) == 0
    crr, _, plas = json.loads(capsys.readouterr().out)
    assert crr['peer'].startswith('d3rlpy 2')
    for row in (crr, plas):
        assert row['ratio'] == pytest.approx(row['ours_per_s'] / row['peer_per_s'], rel=1e-2)
        expected = row['ours_return'] - row['peer_return']
        assert row['difference'] == pytest.approx(expected, abs=0.02)
    assert crr['peer_mean_action_return'] is not None
