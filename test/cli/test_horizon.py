# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors of predicted returns over the horizon, by hand, and the command that measures them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from known_world import LinearEnsemble, make_rollout, plain_reward

from loop_ros.cli import horizon
from loop_ros.cli.main import main
from loop_ros.settings import PlannerSettings

SETTINGS = PlannerSettings(horizon=1, terminal_value='v', discount=0.5)
# s' = s + a and r = s + 2 a; the time ends it at V(5) = 50.5.
EPISODE = horizon.Recorded(
    state=torch.tensor([[1.0], [2.0], [4.0], [5.0]]),
    action=torch.tensor([[1.0], [2.0], [1.0]]),
    reward=torch.tensor([3.0, 6.0, 6.0]),
    to_go=torch.tensor([13.8125, 21.625, 31.25]),
)


def test_errors_are_split_as_by_hand() -> None:
    """Predicted 15.625, 31.25, 33.775; with the true states 13.1, 26.2, 31.25."""
    rollout = make_rollout(LinearEnsemble([1.5], plain_reward))
    found = horizon.errors(rollout, SETTINGS, [EPISODE])
    assert found['starts'] == 3
    assert found['bias'] == pytest.approx((1.8125 + 9.625 + 2.525) / 3)
    assert found['total'] == pytest.approx((2.841667 + 4.970833 + 2.129167) / 3, rel=1e-5)
    assert found['model'] == pytest.approx((0.841667 + 1.683333 + 0.841667) / 3, rel=1e-5)
    assert found['value'] == pytest.approx((2.0 + 3.2875 + 1.2875) / 3, rel=1e-5)
    assert found['state'] == pytest.approx((0.5 / (10 / 3)) ** 0.5, rel=1e-5)


@pytest.mark.parametrize('steps', [1, 2, 3])
def test_a_perfect_model_leaves_the_error_to_the_value(steps: int) -> None:
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward))
    found = horizon.errors(
        rollout, PlannerSettings(**{**vars(SETTINGS), 'horizon': steps}), [EPISODE]
    )
    assert found['model'] == found['state'] == 0
    assert found['total'] == found['value']
    assert (found['value'] == 0) == (steps == 3)  # whose one start sees the whole episode


def test_nothing_is_said_of_horizons_that_no_episode_has() -> None:
    rollout = make_rollout(LinearEnsemble([1.0], plain_reward))
    longer = PlannerSettings(**{**vars(SETTINGS), 'horizon': 4})
    assert horizon.errors(rollout, longer, [EPISODE]) == {}


@pytest.mark.slow
def test_the_command_drives_each_horizon_and_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = tiny.trained()
    agent.save(tmp_path / 'checkpoint')
    own = agent.settings.planner.horizon
    arguments = ['horizon', 'drift_car', '--checkpoint', str(tmp_path / 'checkpoint')]
    arguments += ['--episodes', '1', '--out', str(tmp_path / 'deep' / 'out'), '--json']
    assert main([*arguments, '--horizons', '1', '101']) == 0
    printed = capsys.readouterr().out
    result = json.loads((tmp_path / 'deep' / 'out' / 'horizon.json').read_text())
    assert json.loads(printed) == result
    horizon.show(result)
    assert 'drift_car, 1 episodes each' in capsys.readouterr().out
    rows = {row['horizon']: row for row in result['horizons']}
    assert list(rows) == [1, own, 101]
    assert rows[1]['starts'] == 100
    assert 'total' not in rows[101]  # no episode is as long
    assert 'mean_return' in rows[101]
    assert (tmp_path / 'deep' / 'out' / 'horizon.png').read_bytes().startswith(b'\x89PNG')
    assert main([*arguments, '--set', 'planner.algorithm=actor']) == 2
    assert 'no horizon' in capsys.readouterr().err
