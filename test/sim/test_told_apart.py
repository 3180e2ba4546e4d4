# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks whose states say which robot they are of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from loop_ros.learning.ensemble_trainer import EnsembleTrainer
from loop_ros.learning.transitions import encode
from loop_ros.models.ensemble import Ensemble
from loop_ros.settings import Settings
from loop_ros.sim import registry, told_apart
from loop_ros.sim.simulation import Simulation
from loop_ros.sim.task import Task
from loop_ros.sim.task_functions import check_functions
from loop_ros.types import Rows, Transition

CAR = registry.task('drift_car')
THREE = registry.task('drift_car@3')
CHANGES = {'ensemble.num_models': 2, 'ensemble.max_epochs': 100}
OBSERVATION = [1.0, 0.0, 1.6, 1.5, 0.1, 0.5]


def observed(number: float) -> torch.Tensor:
    return torch.tensor([*OBSERVATION, number], dtype=torch.float64)


@pytest.mark.parametrize(
    ('number', 'place'), [(1, [1, 0, 0]), (3, [0, 0, 1]), (0, [0, 0, 0]), (4, [0, 0, 0])]
)
def test_the_state_ends_with_a_one_in_the_robots_place(number: int, place: list[int]) -> None:
    state = THREE.encode(observed(number))
    assert state[-3:].tolist() == place
    assert torch.equal(state[:-3], CAR.encode(observed(number)[:-1]))


def test_an_observation_of_a_state_has_the_robots_number() -> None:
    assert THREE.decode is not None
    for number in range(4):
        back = THREE.decode(THREE.encode(observed(number)))
        assert back[-1] == number
        torch.testing.assert_close(THREE.encode(back), THREE.encode(observed(number)))


def test_the_number_is_nothing_to_reward_cost_and_picture() -> None:
    """Those of the one car, of any of the three."""
    before, after = observed(1), observed(2) + 0.1
    action = torch.tensor([3.0, 0.1], dtype=torch.float64)
    assert CAR.reward is not None and THREE.reward is not None
    own = CAR.reward(before[:-1], action, after[:-1])
    assert torch.equal(THREE.reward(before, action, after), own)
    outside = observed(2)
    outside[0] = 1.5  # m
    assert CAR.cost is not None and THREE.cost is not None and THREE.path is not None
    assert THREE.cost(THREE.encode(outside)) == CAR.cost(CAR.encode(outside[:-1])) == 1
    states = THREE.encode(torch.stack([before, after])).numpy()
    own_path = CAR.path(OBSERVATION, states[:, :6])  # type: ignore[misc, arg-type]
    np.testing.assert_array_equal(THREE.path(before.numpy(), states), own_path)


@pytest.mark.parametrize('name', ['drift_car@2', 'PointGoal1@4', 'Ant@3', 'Claw-v1@2'])
def test_any_task_may_be_told_apart(name: str) -> None:
    task = registry.task(name)
    check_functions(task)
    assert (task.name, task) == (name, registry.task(name))


@pytest.mark.parametrize('name', ['drift_car@', 'drift_car@0', 'drift_car@two', 'drift_car@-1',
                                  'drift_car@1001', 'drift_car@2@2'])  # fmt: skip
def test_what_is_no_number_of_robots_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match='behind @ stands a number of robots|robot.* twice'):
        registry.task(name)


def test_each_robot_is_simulated_with_its_number_and_its_difference() -> None:
    second = told_apart.robot(THREE, 2, 'friction=0.5')
    plain = told_apart.robot(CAR, 7, 'friction=0.5')  # one car has no numbers
    seen = {task.name: drive(task, 1)[0] for task in (second, plain)}
    assert seen['drift_car@3'].next_observation[-1] == seen['drift_car@3'].observation[-1] == 2
    np.testing.assert_array_equal(
        seen['drift_car@3'].next_observation[:-1], seen['drift_car'].next_observation
    )
    space: Any = second.make().observation_space
    assert space.contains(seen['drift_car@3'].observation)
    with pytest.raises(ValueError, match='tells robots 1 to 3 apart, not 4'):
        told_apart.robot(THREE, 4)


def drive(task: Task, steps: int, seed: int = 0) -> list[Transition]:
    simulation, rng = Simulation(task, task.make(), seed), np.random.default_rng(seed)
    return [simulation.step(rng.uniform(task.action_low, task.action_high)) for _ in range(steps)]


def test_a_model_that_knows_the_robot_predicts_it_better() -> None:
    """Two cars on other ground: without the number they look alike."""
    errors = {}
    for task in (CAR, registry.task('drift_car@2')):
        robots = [told_apart.robot(task, 1, 'friction=0.4'), told_apart.robot(task, 2)]
        data = encode(Rows.of([step for robot in robots for step in drive(robot, 1000)]), task)
        torch.manual_seed(0)
        settings = Settings.for_task(CAR).replace(CHANGES).ensemble
        ensemble = Ensemble(task.state_dim, 2, settings)
        EnsembleTrainer(ensemble, settings, torch.Generator().manual_seed(0)).train(data)
        fresh = encode(Rows.of([s for robot in robots for s in drive(robot, 100, seed=9)]), task)
        state, action = (part.expand(2, -1, -1) for part in (fresh.state, fresh.action))
        with torch.no_grad():
            found = ensemble.predict(state, action).next_state.mean(dim=0) - fresh.next_state
        errors[task.name] = float(found[:, :6].square().mean().sqrt())
    assert errors['drift_car@2'] < 0.85 * errors['drift_car'], errors
