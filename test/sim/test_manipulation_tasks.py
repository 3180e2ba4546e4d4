# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PenGoal-v1 and Claw-v1 in MuJoCo."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from robots import assert_gymnasium, drive, random_actions

from loop_ros.sim import registry
from loop_ros.sim.manipulation_tasks import TASKS

needs_robel = pytest.mark.skipif(
    importlib.util.find_spec('robel') is None, reason='the package robel is not installed'
)
both = pytest.mark.parametrize(
    'name', ['PenGoal-v1', pytest.param('Claw-v1', marks=needs_robel)], ids=['pen', 'claw']
)


def make(name: str, **kwargs: Any) -> Any:
    return registry.make(name, **kwargs)


@both
def test_each_task_is_a_gymnasium_environment(name: str) -> None:
    assert_gymnasium(make(name))


@both
def test_task_and_environment_agree(name: str) -> None:
    task, env = TASKS[name], make(name)
    assert task.name == name
    assert registry.task(name) is task
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    np.testing.assert_array_equal(env.action_space.low, task.action_low)
    np.testing.assert_array_equal(env.action_space.high, task.action_high)
    observation = env.reset(seed=0)[0]
    assert observation.shape == env.observation_space.shape == (len(task.observation_labels),)
    assert len(set(task.observation_labels)) == len(task.observation_labels)
    sizes = {len(task.action_labels), len(task.action_interfaces), len(task.safe_command)}
    assert sizes == {env.action_space.shape[0]}
    assert env.action_space.contains(np.array(task.safe_command))
    assert task.encode(torch.as_tensor(observation)).shape == (task.state_dim,)
    batch = torch.as_tensor(np.tile(observation, (2, 3, 1)))
    assert task.encode(batch).shape == (2, 3, task.state_dim)


@both
def test_labels_limits_and_period_are_those_of_the_model(name: str) -> None:
    task, env = TASKS[name], make(name)
    model = env.world.model if name == 'PenGoal-v1' else env.model
    joints = [model.joint(joint).name for joint in model.actuator_trnid[:, 0]]
    assert list(task.action_labels) == joints
    assert list(task.observation_labels[: len(joints)]) == joints
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 0], task.action_low)
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], task.action_high)
    data = env.world.data if name == 'PenGoal-v1' else env.data
    env.reset(seed=0)
    before = data.time
    env.step(np.array(task.safe_command))
    assert data.time - before == pytest.approx(task.control_period)


@both
def test_episodes_repeat_with_their_seed(name: str) -> None:
    actions = random_actions(TASKS[name], 15)
    one, two = make(name), make(name)
    for mine, other in zip(drive(one, actions, 3), drive(two, actions, 3), strict=True):
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:] == other[1:]
    following = one.reset()[0]
    np.testing.assert_array_equal(following, two.reset()[0])
    assert not np.array_equal(following, one.reset(seed=3)[0])


@both
def test_what_happened_before_a_reset_is_forgotten(name: str) -> None:
    used, fresh = make(name), make(name)
    drive(used, random_actions(TASKS[name], 10, seed=1), 8)
    actions = random_actions(TASKS[name], 10)
    for mine, other in zip(drive(used, actions, 2), drive(fresh, actions, 2), strict=True):
        np.testing.assert_array_equal(mine[0], other[0])


@both
def test_actions_are_held_inside_the_limits(name: str) -> None:
    task, far, limit = TASKS[name], make(name), make(name)
    far.reset(seed=1)
    limit.reset(seed=1)
    for _ in range(3):
        reached = far.step(np.full(len(task.action_low), 9.0))[0]
        np.testing.assert_array_equal(reached, limit.step(np.array(task.action_high))[0])


@both
def test_an_episode_of_safe_commands_is_truncated_at_its_last_step(name: str) -> None:
    task = TASKS[name]
    commands = np.tile(task.safe_command, (task.max_episode_steps + 5, 1))
    steps = drive(make(name), commands, 0)
    assert len(steps) == task.max_episode_steps + 1
    assert not any(terminated for _, _, terminated, _ in steps)
    assert [truncated for *_, truncated in steps].index(True) == task.max_episode_steps


@both
def test_there_is_no_cost(name: str) -> None:
    env = make(name)
    env.reset(seed=0)
    assert all(env.step(action)[4]['cost'] == 0.0 for action in random_actions(TASKS[name], 5))
    assert TASKS[name].cost is None


def test_importing_the_tasks_imports_no_simulator() -> None:
    program = (
        'import sys; import loop_ros.sim.manipulation_tasks; '
        "print([m for m in ('mujoco', 'gymnasium_robotics', 'robel') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (found.stdout.strip(), found.returncode) == ('[]', 0), found.stderr


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m.split('.')[0] == 'gymnasium_robotics']:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, 'gymnasium_robotics', None)
    with pytest.raises(ImportError, match=r"'PenGoal-v1'.*gymnasium_robotics.*pip install"):
        make('PenGoal-v1')
