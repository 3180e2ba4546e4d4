# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every algorithm of the paper, end to end and tiny."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from tiny import same, tensors

from loop_ros.agent import Agent
from loop_ros.cli import experiment as experiment_module
from loop_ros.cli.algorithms import ALGORITHMS, GAPS, OMNISAFE, TABLE
from loop_ros.cli.main import main
from loop_ros.settings import Settings

EXPERIENCE = tiny.transitions(130)
MODEL_FREE = {'sac'}
ACTING = {'sac', 'sac_ve', 'mbpo'}  # without planning
WITHOUT_UPDATES = {'pets', 'safepets'}


def changes(algorithm: str) -> dict[str, Any]:
    """What makes it tiny; two updates a step stand for twenty."""
    own = ALGORITHMS[algorithm]
    updates = min(2, own.get('off_policy.updates_per_step', 1))
    return {**tiny.OVERRIDES, **own, 'off_policy.updates_per_step': updates}


def settings(algorithm: str, **more: Any) -> Settings:
    return tiny.settings(**more).replace(changes(algorithm))


def run(out: Path, algorithm: str, *arguments: str, steps: int = 300) -> dict[str, Any]:
    words = ['experiment', 'drift_car', '--algorithm', algorithm, '--steps', str(steps)]
    small = [f'--set={name}={value}' for name, value in changes(algorithm).items()]
    assert main([*words, '--out', str(out), *small, *arguments]) == 0
    return dict(json.loads((out / 'result.json').read_text()))


@pytest.fixture(autouse=True)
def _one_episode_of_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_module, 'EVALUATION_STEPS', 100)


@pytest.mark.slow
@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_every_algorithm_runs_from_the_command_line(algorithm: str, tmp_path: Path) -> None:
    result = run(tmp_path / 'out', algorithm)
    assert (result['algorithm'], result['steps']) == (algorithm, 300)
    assert np.isfinite(result['mean_return'])
    agent = Agent.load(tmp_path / 'out' / 'checkpoint', tiny.TASK)
    assert agent.ready
    assert agent.num_steps == 300
    assert (agent.learner.num_trainings == 0) is (algorithm in MODEL_FREE)
    assert all(torch.isfinite(value).all() for value in tensors(agent).values())
    plan = agent.act(tiny.OBSERVATION)
    assert (plan.iterations == 0) is (algorithm in ACTING)


@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_an_algorithm_changes_the_networks_that_it_trains(algorithm: str) -> None:
    agent = Agent(tiny.TASK, settings(algorithm))
    before = tensors(agent)
    reports = tiny.learn(agent, EXPERIENCE[:70])
    changed = {
        part: any(
            not torch.equal(value, before[name])
            for name, value in tensors(agent).items()
            if name.startswith(part)
        )
        for part in ('ensemble', 'actor', 'critic')
    }
    assert changed == {
        'ensemble': algorithm not in MODEL_FREE,
        'actor': algorithm not in {*WITHOUT_UPDATES, 'polo'},
        'critic': algorithm not in WITHOUT_UPDATES,
    }
    assert all(np.isfinite(list(report.values())).all() for report in reports)


# SAC itself is in test_agent_weights.
@pytest.mark.parametrize(
    'algorithm', ['loop_sarsa', 'sac_ve', 'mbpo', 'loop_mopo', 'loop_crr', 'polo']
)
def test_resumed_it_learns_exactly_as_if_never_stopped(algorithm: str, tmp_path: Path) -> None:
    """Which is determinism under a seed, too."""
    agent = Agent(tiny.TASK, settings(algorithm))
    tiny.learn(agent, EXPERIENCE[:62])
    agent.save(tmp_path, buffer=True)
    # A profile that says how to plan does not change what was begun.
    profile = dataclasses.replace(tiny.settings(), planner=agent.settings.planner)
    resumed = Agent.load(tmp_path, tiny.TASK, settings=profile)
    expected = tiny.learn(agent, EXPERIENCE[62:100])
    assert tiny.learn(resumed, EXPERIENCE[62:100]) == expected
    assert any('critic_loss' in report for report in expected)
    assert same(tensors(agent), tensors(resumed))
    assert same(agent.learner.tensors(), resumed.learner.tensors())


@pytest.mark.slow
def test_crr_is_resumed_from_the_command_line(tmp_path: Path) -> None:
    run(tmp_path, 'loop_crr', steps=200)
    before = Agent.load(tmp_path / 'checkpoint', tiny.TASK).learner.tensors()
    assert run(tmp_path, 'loop_crr', '--resume')['steps'] == 300
    after = Agent.load(tmp_path / 'checkpoint', tiny.TASK).learner.tensors()
    assert before.keys() == after.keys()
    assert after['actor_optimizer.0.step'] - before['actor_optimizer.0.step'] == 100 * 2


def test_evalloop_explores_like_sac_and_plans_when_it_counts() -> None:
    agent = Agent(tiny.TASK, settings('sac_evalloop'))
    tiny.learn(agent, EXPERIENCE[:45])
    assert agent.ready
    exploring = [agent.act(tiny.OBSERVATION, explore=True) for _ in range(300)]
    assert {plan.iterations for plan in exploring} == {0}
    actions = tiny.TASK.normalize_action(np.array([plan.action for plan in exploring]))
    state = tiny.TASK.encode(torch.as_tensor(tiny.OBSERVATION)).float()
    with torch.no_grad():
        drawn = agent.actor.act(state.expand(4000, -1), torch.randn(4000, 2)).double().numpy()
    # The actor's own distribution: mean and spread within five standard errors.
    np.testing.assert_allclose(actions.mean(axis=0), drawn.mean(axis=0), atol=5 / 300**0.5)
    np.testing.assert_allclose(actions.std(axis=0), drawn.std(axis=0), rtol=0.3)
    assert agent.act(tiny.OBSERVATION).iterations == 2


def test_polo_waits_for_a_model_and_for_its_turn() -> None:
    agent = Agent(tiny.TASK, settings('polo', planner__num_samples=10))
    reports = tiny.learn(agent, EXPERIENCE[:60])
    updated = [i + 1 for i, report in enumerate(reports) if 'critic_loss' in report]
    assert updated == [44, 48, 52, 56, 60]  # the model is trained after step 40


def test_settings_that_cannot_be_had_together() -> None:
    for together, message in (
        ({'learning.algorithm': 'crr', 'sac.bootstrap': 'buffer'}, 'target of its own'),
        (
            {'learning.algorithm': 'polo', 'model_rollouts.expansion_horizon': 2},
            'target of its own',
        ),
        (
            {'sac.bootstrap': 'buffer', 'model_rollouts.fraction': 0.5},
            'set model_rollouts.fraction to 0',
        ),
        (
            {'sac.bootstrap': 'buffer', 'model_rollouts.expansion_horizon': 2},
            'expansion_horizon to 1',
        ),
        ({'sac.bootstrap': 'buffer', 'sac.reward_steps': 2}, 'sac.reward_steps and'),
        ({'learning.algorithm': 'crr', 'sac.reward_steps': 2}, 'target of its own'),
        ({'learning.algorithm': 'plas', 'off_policy.batch_norm': True}, 'is for sac, not for plas'),
        ({'learning.algorithm': 'polo', 'planner.algorithm': 'actor'}, 'has no actor'),
    ):
        with pytest.raises(ValueError, match=message):
            Settings().replace(together)


def test_the_help_lists_every_algorithm(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(['experiment', '--help'])
    shown = capsys.readouterr().out
    for name in (*ALGORITHMS, *OMNISAFE, *GAPS):
        assert f'\n  {name} ' in shown
    for entry in TABLE.values():
        assert f'{entry.description} ({entry.section})' in shown
