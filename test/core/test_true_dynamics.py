# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans in the environment's own dynamics: they meet no surprise, and say so where they cannot."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import tiny
import torch

from loop_ros.cli.evaluate import true_dynamics
from loop_ros.cli.main import main
from loop_ros.planning.true_dynamics import TrueDynamics
from loop_ros.sim import registry
from loop_ros.sim.drift_car import TASK, DriftCar

HEAVY = functools.partial(DriftCar, target_velocity=2.0, friction=0.6, mass=1.5)


@pytest.mark.parametrize('particles', [1, 2])
@pytest.mark.parametrize('environment', [DriftCar, HEAVY])
def test_they_are_what_the_car_then_does(environment: type[DriftCar], particles: int) -> None:
    """Each of three sequences of ten actions, driven in the environment from the same start."""
    env = environment()
    start, _ = env.reset(seed=5)
    actions = torch.rand(10, 3, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = None if particles == 1 else torch.randn(10, 1, particles, 7)
    model = TrueDynamics(TASK, env.predict)
    path, rewards, costs = model.roll(TASK.encode(torch.as_tensor(start)).float(), actions, noise)
    assert path.shape == (10, 1, 3 * particles, 6)
    assert rewards.shape == costs.shape == (10, 1, 3 * particles)
    for row in range(3 * particles):
        env.reset(options={'state': start})
        for t in range(10):
            action = actions[t, row // particles].double().numpy()
            observation, reward, *_ = env.step(np.asarray(TASK.denormalize_action(action)))
            state = TASK.encode(torch.as_tensor(observation)).float()
            torch.testing.assert_close(path[t, 0, row], state, rtol=1e-4, atol=1e-4)
            assert rewards[t, 0, row].item() == pytest.approx(reward, abs=1e-4)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    tiny.trained().save(tmp_path / 'checkpoint')
    return str(tmp_path / 'checkpoint')


def test_the_model_error_is_then_none(checkpoint: str, tmp_path: Path) -> None:
    found = {}
    for name, more in {'learned': [], 'true': ['--true-dynamics']}.items():
        arguments = ['horizon', 'drift_car', '--checkpoint', checkpoint, '--episodes', '1', *more]
        assert main([*arguments, '--horizons', '3', '--out', str(tmp_path / name)]) == 0
        result = json.loads((tmp_path / name / 'horizon.json').read_text())
        found[name] = result['horizons'][0]
    assert found['true']['model'] < 1e-4 < 0.01 < found['learned']['model']
    assert found['true']['value'] > 0.01  # which is as wrong as it was


def test_a_simulation_that_does_not_predict_is_refused(
    checkpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ['evaluate', f'{__name__}:SILENT', '--checkpoint', checkpoint, '--true-dynamics']
    assert main(command) == 2
    assert 'has no predict()' in capsys.readouterr().err


def test_a_simulation_behind_a_limit_of_time_is_asked() -> None:
    agent = tiny.trained()
    limited = functools.partial(gymnasium.wrappers.TimeLimit, DriftCar(), max_episode_steps=5)
    agent.task = dataclasses.replace(agent.task, environment=limited)
    assert isinstance(true_dynamics(agent), TrueDynamics)


def test_robots_that_are_told_apart_have_none() -> None:
    """Their number is part of the observation, of which the simulation knows nothing."""
    agent = tiny.trained()
    agent.task = registry.task('drift_car@2')
    with pytest.raises(ValueError, match=r'has no predict\(\)'):
        true_dynamics(agent)


def test_a_learned_cost_is_refused(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ['evaluate', 'drift_car', '--checkpoint', checkpoint, '--true-dynamics']
    assert main([*command, '--set', 'planner.cost_source=learned']) == 2
    assert 'planner.cost_source=known' in capsys.readouterr().err


class Silent(DriftCar):
    """A simulation that says nothing of where actions lead."""

    predict = None  # type: ignore[assignment]


SILENT = dataclasses.replace(TASK, environment=Silent)
