# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The best in hindsight: near a known optimum, at no more cost than was driven, never worse."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from loop_ros.cli import hindsight
from loop_ros.cli.main import main
from loop_ros.models.planning_ensemble import Trajectory
from loop_ros.sim.drift_car import TASK

STEPS = 3


class Known:
    """Reward -(a - 0.5)^2 of the first action, whatever the state; the state is that action."""

    def roll(self, state: Tensor, actions: Tensor, noise: Tensor | None) -> Trajectory:
        first = actions[:, None, :, :1]
        rewards = -((first[..., 0] - 0.5) ** 2)
        return Trajectory(first, rewards, torch.zeros_like(rewards))


def found(driven: float, most: float) -> float:
    """Best return where an action above `most` costs 1, from episodes of `driven` all along."""
    rollout = SimpleNamespace(step_cost=lambda path, costs, settings: (path[..., 0] > most).float())
    agent: Any = SimpleNamespace(
        task=TASK,
        planner=SimpleNamespace(rollout=rollout),
        settings=SimpleNamespace(planner=None),
    )
    action = TASK.denormalize_action(np.array([driven, 0.0]))
    plans = [SimpleNamespace(action=action)] * STEPS
    episode: Any = SimpleNamespace(observations=[np.zeros(6)], plans=plans)
    model: Any = Known()
    return hindsight.best(model, agent, episode, STEPS, torch.Generator().manual_seed(0))


def test_it_finds_the_optimum() -> None:
    assert found(-0.4, most=1.0) == pytest.approx(0.0, abs=1e-3)


def test_it_costs_no_more_than_what_was_driven() -> None:
    """Without a cost 0.3 is the best there is: -0.04 a step."""
    assert found(-0.4, most=0.3) == pytest.approx(-0.04 * STEPS, abs=3e-3)
    assert found(-0.4, most=0.3) <= -0.04 * STEPS + 1e-6


def test_it_is_never_worse() -> None:
    assert found(0.5, most=1.0) == pytest.approx(0.0, abs=1e-9)


def test_the_command_knows_the_true_dynamics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hindsight, 'ITERATIONS', 10)
    tiny.trained().save(tmp_path / 'checkpoint')
    command = ['hindsight', 'drift_car', '--checkpoint', str(tmp_path / 'checkpoint'), '--json']
    assert main([*command, '--episodes', '2', '--steps', '8']) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result['driven']) == len(result['best']) == len(result['rest']) == 2
    assert all(b > d for b, d in zip(result['best'], result['driven'], strict=True))
    assert all(rest < 0.0 for rest in result['rest'])  # of 92 steps more
    hindsight.show(result)
    assert 'drift_car, 2 episodes' in capsys.readouterr().out
