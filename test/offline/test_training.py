# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Alg. 2 on tiny data: what is learned from, determinism, resuming, checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import offline
import pytest
import tiny
import torch

from loop_ros.agent import Agent
from loop_ros.offline import evaluation as off_policy_evaluation
from loop_ros.offline.presets import TABLE_4, preset
from loop_ros.offline.training import OfflineTraining

ALGORITHMS = ('crr', 'plas', 'mbop')


def learned(training: OfflineTraining, updates: int) -> OfflineTraining:
    if not training.agent.ready:
        training.fit_model()
    for _ in range(updates):
        training.update()
    return training


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_going_on_equals_never_stopping(algorithm: str, tmp_path: Path) -> None:
    """For PLAS the stop is within the autoencoder's updates."""
    whole = learned(offline.training(algorithm), 8)
    part = learned(offline.training(algorithm), 3)
    part.save(tmp_path)
    settings = offline.settings(algorithm)
    resumed = OfflineTraining.resume(tmp_path, tiny.TASK, offline.data(), settings)
    assert (resumed.updates, resumed.model) == (3, part.model)
    learned(resumed, 5)
    assert tiny.same(tiny.tensors(whole.agent), tiny.tensors(resumed.agent))


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_the_result_is_an_ordinary_checkpoint(algorithm: str, tmp_path: Path) -> None:
    """Loaded, the plan is the same, with the actor of the algorithm."""
    training = learned(offline.training(algorithm), 6)
    training.save(tmp_path)
    loaded = Agent.load(tmp_path, tiny.TASK)
    assert type(loaded.actor) is type(training.agent.actor)
    assert tiny.same(tiny.tensors(training.agent), tiny.tensors(loaded))
    plan = loaded.act(tiny.OBSERVATION)
    fresh = Agent.load(tmp_path, tiny.TASK)
    np.testing.assert_array_equal(plan.action, fresh.act(tiny.OBSERVATION).action)
    assert plan.iterations == 1
    assert fresh.act_without_planning(tiny.OBSERVATION).shape == plan.action.shape
    other = Agent(tiny.TASK, tiny.settings())
    if algorithm != 'crr':
        with pytest.raises(ValueError, match='actor'):
            other.load_weights(training.agent.weights())


def test_actor_and_critics_draw_from_no_held_out_episode() -> None:
    training = offline.training('crr')
    batch, kept = training.data.batch, ~training.held_out
    assert torch.equal(training._table[:, :-1], batch.table()[kept])
    assert 0 < int(training.held_out.sum()) < len(training.data)


def test_other_data_or_networks_are_refused(tmp_path: Path) -> None:
    training = learned(offline.training('crr'), 1)
    training.save(tmp_path)
    with pytest.raises(ValueError, match='other transitions'):
        OfflineTraining.resume(tmp_path, tiny.TASK, offline.data(200), offline.settings('crr'))
    with pytest.raises(ValueError, match='trained with '):
        OfflineTraining.resume(
            tmp_path, tiny.TASK, offline.data(), offline.settings('crr', off_policy__width=9)
        )
    with pytest.raises(ValueError, match='trained with '):
        OfflineTraining.resume(tmp_path, tiny.TASK, offline.data(), offline.settings('plas'))


def test_mbop_needs_long_enough_episodes() -> None:
    with pytest.raises(ValueError, match=r'mbop\.value_horizon'):
        offline.training('mbop', mbop__value_horizon=10_000)


def test_evaluation_off_policy() -> None:
    training = learned(offline.training('crr'), 3)
    effort = off_policy_evaluation.Effort(
        states=20, starts=4, sequences=4, steps=5, members=2, features=8
    )
    found, again = (
        off_policy_evaluation.evaluate(
            training.agent, training.data, training.held_out, seed=1, effort=effort
        )
        for _ in range(2)
    )
    assert found == again
    settings = training.agent.settings.planner
    pairs = {(row['proposal_std'], row['temperature']) for row in found['candidates']}
    assert len(pairs) == 4 * 6
    assert {row['horizon'] for row in found['candidates']} == {2, 4, 10}
    assert {row['pessimism'] for row in found['candidates']} == {0.0, 0.5, 1.0, 5.0}
    first, best = found['candidates'][0], found['plans']
    assert all(first[name] == getattr(settings, name) for name in ('horizon', 'pessimism'))
    assert best['lower'] == max(row['lower'] for row in found['candidates'])
    assert {
        f'planner.{name}': best[name]
        for name in ('proposal_std', 'temperature', 'horizon', 'pessimism')
    } == (found['recommended'])
    assert training.agent.settings.replace(found['recommended']).planner.actor_fraction == 1.0
    assert [row['step'] for row in found['model_error']] == [float(n) for n in range(1, 11)]
    assert found['steps'] == 5.0
    assert 0.0 <= best['covered'] <= 1.0 and best['most_cost'] >= best['worst_cost']


def test_table_4() -> None:
    """Two of its lines, read off the paper."""
    assert len(TABLE_4) == 12
    assert preset('medium/hopper', 'crr') == {
        'planner.horizon': 2, 'planner.temperature': pytest.approx(1 / 3),
        'planner.pessimism': 1.0, 'planner.proposal_std': 0.01,
    }  # fmt: skip
    assert preset('medium-replay/walker2d', 'plas') == {
        'planner.horizon': 4, 'planner.temperature': pytest.approx(100.0),
        'planner.pessimism': 0.5, 'planner.proposal_std': 0.01,
    }  # fmt: skip
    with pytest.raises(ValueError, match='no preset'):
        preset('medium/ant', 'crr')
    with pytest.raises(ValueError, match='not for mbop'):
        preset('medium/hopper', 'mbop')
