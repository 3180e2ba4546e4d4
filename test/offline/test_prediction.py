# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prediction errors are those of the predictor, in the units of what it predicts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from loop_ros.offline import prediction
from loop_ros.offline.prediction import Recorded
from loop_ros.sim import registry
from loop_ros.types import Rows

STEPS = 4


def recorded(count: int = 250) -> Recorded:
    """Two episodes of 100 steps and one of 50."""
    rows = Rows.of(tiny.transitions(count))
    return Recorded.of(
        [Rows(*(part[:90] for part in rows)), Rows(*(p[90:] for p in rows))], tiny.TASK
    )


def truth(found: Recorded, rows: Tensor, steps: int) -> Iterator[Tensor]:
    for step in range(steps):
        yield found.data.batch.next_state[rows + step]


def too_fast(found: Recorded, rows: Tensor, steps: int) -> Iterator[Tensor]:
    """Wrong by 0.5 m/s in v_x."""
    for state in truth(found, rows, steps):
        yield state + torch.tensor([0.0, 0.0, 0.0, 0.5, 0.0, 0.0])


def by_name(found: list[dict[str, float]], column: str) -> dict[str, float]:
    return {str(row['name']): row[column] for row in found}


def test_errors_are_in_the_units_of_the_labels() -> None:
    found = prediction.errors(recorded(), {'truth': truth, 'fast': too_fast}, STEPS)
    true, fast = (by_name(found, f'{name}, {STEPS}') for name in ('truth', 'fast'))
    assert list(true) == ['v_x', 'v_y', 'yaw_rate', 'position (m)', 'heading (rad)']
    assert true['v_x'] == true['yaw_rate'] == 0.0
    assert fast['v_x'] == pytest.approx(0.5)
    assert fast['v_y'] == 0.0
    gone = 0.5 * (STEPS - 0.5) * tiny.TASK.control_period  # where it drives along the line
    assert true['position (m)'] < 0.001 < 0.5 * gone < fast['position (m)'] < gone


def test_what_stays_the_same_is_wrong_by_how_much_it_changed() -> None:
    found = recorded()
    error = by_name(
        prediction.errors(found, {'unchanged': prediction.unchanged}, STEPS), f'unchanged, {STEPS}'
    )
    rows = found.starts(STEPS).numpy()
    change = found.rows.next_observation[rows + STEPS - 1] - found.rows.observation[rows]
    assert error['v_x'] == pytest.approx(np.sqrt(np.mean(change[:, 3] ** 2)), rel=1e-5)


def test_predictions_stay_within_an_episode() -> None:
    found = recorded()
    assert len(found.starts(STEPS)) == 2 * 97 + 47
    with pytest.raises(ValueError, match='no episode has 101 steps, the longest 100'):
        found.starts(101)


def test_an_ensemble_is_followed_by_the_recorded_actions() -> None:
    agent, found = tiny.trained(), recorded()
    rows = torch.tensor([0, 120])
    one, two = prediction.ensemble(agent)(found, rows, 2)
    batch, states = found.data.batch, []
    for row in (0, 120):
        state = batch.state[row].expand(agent.ensemble.num_models, 1, -1)
        for step in range(2):
            action = batch.action[row + step].expand(agent.ensemble.num_models, 1, -1)
            state = agent.ensemble.predict(state, action).next_state
            states.append(state.mean(dim=0)[0])
    assert torch.allclose(torch.stack([one[0], two[0], one[1], two[1]]), torch.stack(states))


def test_states_that_no_observation_comes_back_from_are_numbered() -> None:
    task = registry.task('PointGoal1')
    rng = np.random.default_rng(0)
    size = len(task.observation_labels)
    zeros = np.zeros(20)
    rows = Rows(
        zeros, zeros.astype(np.int64), np.arange(20), rng.normal(size=(20, size)),
        rng.normal(size=(20, 2)), zeros, zeros, rng.normal(size=(20, size)), zeros > 0, zeros > 0,
    )  # fmt: skip
    found = prediction.errors(Recorded.of([rows], task), {'same': prediction.unchanged}, 2)
    assert [row['name'] for row in found][:2] == ['state[0]', 'state[1]']
    assert len(found) == task.state_dim
