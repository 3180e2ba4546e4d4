# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The locomotion tasks against gymnasium's own environments and their models."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from loop_ros.sim import mujoco_tasks, registry

NAMES = sorted(mujoco_tasks.TASKS)
FELLABLE = [name for name in NAMES if registry.task(name).termination is not None]
ROOT = {  # what the tasks call gymnasium's joints of the trunk
    'rootx': 'root_x', 'rootz': 'root_z', 'rooty': 'root_pitch',
    'slider1': 'root_x', 'slider2': 'root_y', 'free_body_rot': 'root_yaw',
}  # fmt: skip


def original(name: str) -> Any:
    return gymnasium.make(f'{name}-v4', disable_env_checker=True).unwrapped


def plain(joint: str) -> str:
    return ROOT.get(
        joint, joint.removesuffix('_joint').removesuffix('_rot').replace('_joint_', '_')
    )


def drive(name: str, steps: int, seed: int) -> list[tuple[np.ndarray, float, bool, bool]]:
    task, rng, found = registry.task(name), np.random.default_rng(seed), []
    env = task.make()
    env.reset(seed=seed)
    for _ in range(steps):
        action = rng.uniform(task.action_low, task.action_high)
        observation, reward, terminated, truncated, info = env.step(action)
        assert info['cost'] == 0.0
        found.append((observation, reward, terminated, truncated))
        if terminated or truncated:
            env.reset()
    return found


@pytest.mark.parametrize('name', NAMES)
def test_a_seed_determines_an_episode(name: str) -> None:
    one, two = (drive(name, 30, seed=5) for _ in range(2))
    np.testing.assert_array_equal([row[0] for row in one], [row[0] for row in two])
    assert not np.array_equal(one[-1][0], drive(name, 30, seed=6)[-1][0])


@pytest.mark.parametrize('name', NAMES)
def test_observations_are_the_originals_as_far_as_they_are_named(name: str) -> None:
    task, env, own = registry.task(name), original(name), registry.make(name)
    theirs, ours = env.reset(seed=1)[0], own.reset(seed=1)[0]
    assert ours.shape == (len(task.observation_labels),) == (task.state_dim,)
    assert ours.dtype == np.float64
    np.testing.assert_array_equal(ours, theirs[: len(ours)])
    whole = 45 if name == 'Humanoid' else len(theirs)  # positions and velocities alone
    assert len(ours) == whole


@pytest.mark.parametrize('name', NAMES)
def test_labels_are_those_of_the_model(name: str) -> None:
    """Joints in the model's order; actions by the joint that each motor turns."""
    task, model = registry.task(name), original(name).model
    joints = [model.joint(i).name for i in range(model.njnt)]
    moved = [plain(joints[model.actuator(i).trnid[0]]) for i in range(model.nu)]
    assert [plain(label) for label in task.action_labels] == moved
    velocities = [label for label in task.observation_labels if label.endswith('_velocity')]
    hinges = [plain(joint) for joint in joints if joint != 'root']
    assert [label.removesuffix('_velocity') for label in velocities] == hinges
    assert task.control_period == pytest.approx(original(name).dt)
    low, high = model.actuator_ctrlrange.T
    np.testing.assert_allclose(task.action_low, low)
    np.testing.assert_allclose(task.action_high, high)


@pytest.mark.parametrize('name', FELLABLE)
def test_termination_is_what_the_environment_says(name: str) -> None:
    task = registry.task(name)
    assert task.termination is not None
    driven = drive(name, 400, seed=2)
    states = task.encode(torch.as_tensor(np.array([row[0] for row in driven])))
    ended = np.array([row[2] for row in driven])
    assert ended.any() and not ended.all()
    np.testing.assert_array_equal(task.termination(states).numpy(), ended)


@pytest.mark.parametrize(
    ('name', 'index', 'inside', 'outside'),
    [
        ('Hopper', 0, 0.71, 0.69),
        ('Hopper', 1, -0.19, -0.21),
        ('Hopper', 7, 99.0, -101.0),
        ('Walker2d', 0, 1.99, 2.01),
        ('Walker2d', 1, -0.99, 1.01),
        ('Ant', 0, 0.21, 0.19),
        ('Ant', 0, 0.99, 1.01),
        ('Ant', 20, 1e6, np.nan),
        ('Humanoid', 0, 1.01, 0.99),
        ('InvertedPendulum', 1, -0.2, 0.21),
        ('InvertedPendulum', 1, 0.2, np.nan),
    ],
)
def test_bounds_of_health(name: str, index: int, inside: float, outside: float) -> None:
    task = registry.task(name)
    assert task.termination is not None
    state = torch.as_tensor(registry.make(name).reset(seed=0)[0])
    batch = state.repeat(2, 3, 1)  # any leading shape
    batch[0, :, index], batch[1, :, index] = inside, outside
    assert task.termination(batch).tolist() == [[False] * 3, [True] * 3]


def test_episodes_end_after_a_thousand_steps() -> None:
    driven = drive('Swimmer', 1000, seed=0)
    assert [row[3] for row in driven] == [False] * 999 + [True]


def test_actions_beyond_the_limits_are_clipped() -> None:
    ended = []
    for scale in (1.0, 10.0):
        env = registry.make('HalfCheetah')
        env.reset(seed=0)
        observation, reward, *_ = env.step(scale * np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
        ended.append((*observation, reward))
    np.testing.assert_array_equal(*ended)


def test_a_planner_needs_no_simulator() -> None:
    """On a robot only the task's description is needed."""
    code = (
        'import sys; from loop_ros.sim import registry;'
        '[registry.task(name) for name in registry.names()];'
        "print({'mujoco', 'gymnasium_robotics', 'safety_gymnasium'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == 'set()'


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'mujoco', None)
    for module in [name for name in sys.modules if name.startswith('gymnasium.envs.mujoco')]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ImportError, match=r"task 'Hopper' needs its simulator .*CONTRIBUTING"):
        registry.make('Hopper')
