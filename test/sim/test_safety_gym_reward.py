# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reward of PointGoal1 and CarGoal1 by two states alone, against the simulation's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from bag_files import JOINTS, SECOND, Message, joints, write_bag

from loop_ros.bags.reader import BagReader
from loop_ros.sim import registry, safety_gym_tasks
from loop_ros.sim.task import Task
from loop_ros.types import Transition

pytestmark = pytest.mark.slow
GOAL = safety_gym_tasks.GOAL


def chase(task: Task, observation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Towards the goal, blind to hazards."""
    bearing = math.atan2(observation[GOAL + 1], observation[GOAL])
    noise = rng.normal(0.0, 0.1, 2)
    if task.name == 'PointGoal1':
        return noise + [0.6, 2.0 * bearing]
    ahead, turn = -0.4 * math.sin(bearing), 0.3 * math.cos(bearing)  # its wheels drive it along -y
    return noise + [ahead + turn, ahead - turn]


def driven(task: Task, episodes: int) -> list[Transition]:
    environment = registry.make(task.name)
    found = []
    for episode in range(episodes):
        rng = np.random.default_rng(episode)
        observation, _ = environment.reset(seed=episode)
        for step in range(task.max_episode_steps):
            action = np.clip(chase(task, observation, rng), -1.0, 1.0)
            after, reward, *_, info = environment.step(action)
            found.append(
                Transition(
                    step * task.control_period, episode, step, observation, action, reward,
                    info['cost'], after, False, step == task.max_episode_steps - 1,
                )
            )  # fmt: skip
            observation = after
    return found


@pytest.fixture(scope='module', params=['PointGoal1', 'CarGoal1'])
def drive(request: pytest.FixtureRequest) -> tuple[Task, list[Transition]]:
    task = registry.task(request.param)
    return task, driven(task, 2)


def test_rewards_are_the_simulations(drive: tuple[Task, list[Transition]]) -> None:
    """Exact without an arrival, within 2 cm with one, and an arrival is never missed."""
    task, transitions = drive
    assert task.reward is not None
    columns = (
        torch.from_numpy(np.stack([getattr(t, name) for t in transitions]))
        for name in ('observation', 'action', 'next_observation')
    )
    found = task.reward(*columns).numpy()
    wanted = np.array([t.reward for t in transitions])
    arrived = wanted > 0.5  # nobody gains half a metre in a step
    assert arrived.sum() > 10
    np.testing.assert_allclose(found[~arrived], wanted[~arrived], rtol=0, atol=1e-12)
    error = np.abs(found - wanted)[arrived]
    assert error.max() < 0.02
    assert error.mean() < 0.002


def test_bags_of_states_and_commands_are_enough(
    drive: tuple[Task, list[Transition]], tmp_path: Path
) -> None:
    task, transitions = drive
    wanted = transitions[: task.max_episode_steps]
    messages: list[Message] = []
    for t in wanted:
        stamp = round(t.stamp * SECOND)
        state = joints(task.observation_labels, stamp, position=t.observation.tolist())
        given = {'effort': [math.nan] * 2, 'velocity': [math.nan] * 2}
        for place, interface in enumerate(task.action_interfaces):
            given[interface][place] = float(t.action[place])
        command = joints(task.action_labels, stamp, **given)
        messages += [('/state', JOINTS, stamp, state), ('/command', JOINTS, stamp + 1, command)]
    found = list(BagReader([write_bag(tmp_path / 'bag', messages)], task))
    assert len(found) == len(wanted) - 1  # what the last state led to is in no message
    for a, b in zip(found, wanted, strict=False):
        np.testing.assert_array_equal(a.next_observation, b.next_observation)
        np.testing.assert_array_equal(a.action, b.action)
        assert a.reward == pytest.approx(b.reward, abs=1e-12 if b.reward < 0.5 else 0.02)


def standing(*goal: float) -> torch.Tensor:
    """A robot that stands still and heads north, its goal at x, y (m); all else far away."""
    observation = torch.full((26,), 5.0, dtype=torch.float64)
    observation[:6] = torch.tensor([0.0, 0.0, -0.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    observation[GOAL : GOAL + 2] = torch.tensor(goal, dtype=torch.float64)
    return observation


@pytest.mark.parametrize(
    ('after', 'expected'),
    [
        ((3.0, 4.0), 0.0),
        ((0.0, 1.0), 5.0 - 1.0 + 1.0 + 1.0 - 5.0),  # it stood at the old goal, and still does
        ((3.05, 4.0), 5.0 - math.hypot(3.05, 4.0)),  # less than a jump: somebody moved the goal
    ],
)
def test_a_goal_that_jumps_was_reached(after: tuple[float, float], expected: float) -> None:
    task = registry.task('PointGoal1')
    assert task.reward is not None
    found = task.reward(standing(3.0, 4.0), torch.zeros(2), standing(*after))
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_an_arrival_without_a_place_for_a_new_goal() -> None:
    """The goal stays, and the robot is in it."""
    task = registry.task('PointGoal1')
    assert task.reward is not None
    before, after = standing(0.35, 0.0), standing(0.25, 0.0)
    for place in range(GOAL + 2, 26, 2):
        after[place] -= 0.1
    assert task.reward(before, torch.zeros(2), after).item() == pytest.approx(1.1)
