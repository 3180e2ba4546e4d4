# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros replay: what is planned again in each episode, and the figures made of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from loop_ros.agent import Agent
from loop_ros.cli import replay_summary
from loop_ros.cli.replay_episodes import Recording, Replayed, model_errors, recordings, replay
from loop_ros.types import Transition


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('agent')
    tiny.trained(60).save(folder)
    return folder


def transition(episode: int, step: int, **changes: Any) -> Transition:
    zeros = np.zeros(6)
    made = Transition(
        0.035 * step, episode, step, zeros, np.array([5.0, 0.0]), 0.0, 0.0, zeros, False, False
    )
    return dataclasses.replace(made, **changes)


def test_entangled_episodes_are_replayed_apart() -> None:
    end = {'truncated': True}
    mixed = [
        transition(0, 0), transition(1, 0), transition(0, 1, **end), transition(2, 0),
        transition(1, 1), transition(2, 1, **end), transition(1, 2, **end),
    ]  # fmt: skip

    def parts(episodes: int, steps: int) -> list[tuple[int, int, bool]]:
        found = recordings(iter(mixed), episodes, steps)
        return [(r.number, len(r.transitions), r.whole) for r in found]

    assert parts(9, 99) == [(0, 2, True), (2, 2, True), (1, 3, True)]
    assert parts(2, 99) == [(0, 2, True), (1, 3, True)]
    assert parts(1, 99) == [(0, 2, True)]
    assert parts(9, 5) == [(0, 2, True), (1, 2, False), (2, 1, False)]
    assert parts(9, 3) == [(0, 2, True), (1, 1, False)]


def test_states_between_plans_move_the_start(checkpoint: Path) -> None:
    """Every third state: what the plan before said of three steps later is where the next starts.

    Without noise and updates the plan is its start.
    """
    agent = Agent.load(checkpoint, tiny.TASK)
    still = {'mean_update': 0.0, 'horizon': 4}
    agent.configure(dataclasses.replace(agent.settings.planner, **still))
    start = torch.tensor([[0.2, 0.0], [0.3, 0.0], [0.4, 0.0], [0.4, 0.0]])
    agent.reset = lambda: setattr(agent.planner, '_start', start)  # type: ignore[method-assign]
    found = replay(agent, Recording(0, tiny.transitions(7)), every=3)
    assert found.has_plan.tolist() == [True, False, False, True, False, False, True]
    speeds = tiny.TASK.normalize_action(found.planned)[found.has_plan, 0]
    np.testing.assert_allclose(speeds, [0.2, 0.4, 0.4], atol=1e-6)


def test_costs_ahead_and_the_errors_of_the_model(checkpoint: Path) -> None:
    agent = Agent.load(checkpoint, tiny.TASK)
    planner = dataclasses.replace(agent.settings.planner, horizon=3, discount=0.5)
    agent.configure(planner)
    costs = [0.0, 1.0, 1.0, 0.0, 1.0]
    drive = [transition(0, step, cost=cost) for step, cost in enumerate(costs)]
    cut = replay(agent, Recording(0, drive), every=5)
    np.testing.assert_array_equal(cut.cost_ahead, [0.75, 1.5, 1.25, np.nan, np.nan])
    drive[-1] = dataclasses.replace(drive[-1], terminated=True)
    ended = replay(agent, Recording(0, drive), every=5)
    np.testing.assert_array_equal(ended.cost_ahead, [0.75, 1.5, 1.25, 0.5, 1.0])


def test_the_error_of_the_model_is_that_of_its_mean(checkpoint: Path) -> None:
    agent = Agent.load(checkpoint, tiny.TASK)
    (recorded,) = tiny.transitions(1)
    state = tiny.TASK.encode(torch.from_numpy(recorded.observation)).float()
    action = torch.as_tensor(tiny.TASK.normalize_action(recorded.action), dtype=torch.float32)
    with torch.no_grad():
        reached = agent.ensemble.predict(state.expand(2, 1, -1), action.expand(2, 1, -1)).next_state
    mean = reached.mean(dim=0)[0]
    off = mean.clone()
    off[-1] += 3.0 * agent.ensemble.inputs.std[tiny.TASK.state_dim - 1]
    encode = iter((state[None], mean[None], state[None], off[None]))
    agent.task = dataclasses.replace(agent.task, encode=lambda _: next(encode))
    right, apart = model_errors(agent, [recorded])
    wrong, _ = model_errors(agent, [recorded])
    assert right[0] == pytest.approx(0.0, abs=1e-6)
    assert wrong[0] == pytest.approx(3.0 / np.sqrt(tiny.TASK.state_dim), rel=1e-5)
    scale = agent.ensemble.inputs.std[: tiny.TASK.state_dim]
    half = (reached[0, 0] - reached[1, 0]) / 2 / scale  # two models: each is off by half
    assert apart[0] == pytest.approx(float(half.square().mean().sqrt()), rel=1e-4)


def made_up(number: int, distance: list[float], **columns: list[float]) -> Replayed:
    """One action that differs by half of its distance as a share of its range."""
    length = len(distance)
    names = [field.name for field in dataclasses.fields(Replayed)]
    values: dict[str, Any] = {name: np.full(length, np.nan) for name in names}
    values.update({name: np.array(column) for name, column in columns.items()})
    moved = np.array(distance)
    values.update(
        number=number, whole=True, diverged=0, step=np.arange(length), time=np.arange(length) / 10,
        recorded=np.zeros((length, 1)), planned=np.zeros((length, 1)), distance=moved,
        difference=moved[:, None] / 2,
    )  # fmt: skip
    return Replayed(**values)


def test_figures_worked_by_hand() -> None:
    nan = float('nan')
    first = made_up(
        0, [0.5, 0.6, nan, 0.0], reward=[1, 1, 1, 1], cost=[1, 1, 1, 0],
        cost_ahead=[2, 2, 1, nan], worst_cost=[0.0, 0.5, nan, 0.0], safe_fraction=[1, 0, nan, 0.5],
        model_error=[3, 4, 0, 0],
    )  # fmt: skip
    second = made_up(
        1, [2.0], reward=[-2], cost=[0], cost_ahead=[1], worst_cost=[0.0], safe_fraction=[0.5],
        model_error=[0],
    )  # fmt: skip
    found = replay_summary.metrics([first, second])
    assert (found['episodes'], found['steps'], found['plans']) == (2, 5, 4)
    assert found['different'] == 2  # 0.6 and 2.0; 0.5 is a quarter of the range, not more
    assert found['different_share'] == 0.5
    assert found['mean_distance'] == pytest.approx(3.1 / 4)
    assert (found['recorded_return'], found['recorded_cost']) == (1.0, 1.5)
    assert (found['costly'], found['costly_predicted_free']) == (2, 1)  # one has no plan
    assert (found['costly_ahead'], found['costly_ahead_predicted_free']) == (3, 2)
    assert (found['worst_predicted_cost'], found['safe_fraction']) == (0.5, 0.5)
    assert found['with_safe_share'] == 0.75
    assert found['model_error'] == pytest.approx(np.sqrt(5.0))
    assert replay_summary.beyond([first, second], 0.4) == 1


def test_large_differences_close_together_count_once() -> None:
    one, two = made_up(0, [0.5, 0.9, 0.8, 0.7, 0.0]), made_up(1, [0.85, 0.1])

    def found(count: int, apart: int) -> list[tuple[int, int]]:
        return [
            (d.episode.number, d.row)
            for d in replay_summary.largest_differences([one, two], count, apart)
        ]

    assert found(9, 1) == [(0, 1), (1, 0), (0, 2), (0, 3), (0, 0), (1, 1)]
    assert found(9, 2) == [(0, 1), (1, 0), (0, 3)]
    assert found(2, 1) == [(0, 1), (1, 0)]
