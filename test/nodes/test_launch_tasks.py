# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launches of the simulators' tasks, and what all launches have in common."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from ears import Ears
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import JointState
from source_tree import TREE
from stack import ROS2, Process, both_ros2, environment, make_prefix, until
from std_msgs.msg import Float64MultiArray

from loop_ros import checkpoint
from loop_ros.nodes import conversions, qos
from loop_ros.settings import Settings
from loop_ros.sim import registry
from ros2_standalone.launch import declared_arguments

pytestmark = pytest.mark.slow
LAUNCHES = ('drift_car', 'mujoco', 'safety_gym')
Launch = Callable[..., Process]
START = 100.0  # s; three processes that import torch and a simulator, on a busy machine


def own_arguments(name: str) -> dict[str, dict]:
    """The arguments that a launch file states itself, before it includes the stack."""
    file = TREE / f'launch/{name}.launch.yaml'
    entities = yaml.safe_load(file.read_text(encoding='utf-8'))['launch']
    return {
        body['name']: body for entity in entities for kind, body in entity.items() if kind == 'arg'
    }


def tasks(name: str) -> list[str]:
    return [choice['value'] for choice in own_arguments(name)['task']['choice']]


@pytest.fixture(scope='module')
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prefix(tmp_path_factory.mktemp('prefix'))


@pytest.fixture
def launch(ros_domain: int, prefix: Path, tmp_path: Path) -> Iterator[Launch]:
    started: list[Process] = []

    def start(world: str, name: str, **arguments: object) -> Process:
        command = [*ROS2[world], 'launch', 'loop_ros', f'{name}.launch.py']
        command += [f'{key}:={value}' for key, value in arguments.items()]
        log = tmp_path / f'launch{len(started)}'
        started.append(Process(command, log, env=environment(prefix), cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_every_task_has_a_launch() -> None:
    assert sorted(task for name in LAUNCHES for task in tasks(name)) == registry.names()


@pytest.mark.parametrize('name', LAUNCHES)
def test_defaults_fit_the_tasks(name: str) -> None:
    assert own_arguments(name)['task']['default'] in tasks(name)
    for task in tasks(name):
        Settings.for_task(registry.task(task))
        checkpoint.resolve('', task)


def test_all_launches_have_the_same_arguments(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    folder = prefix / 'share/loop_ros/launch'
    stack = declared_arguments(folder / 'stack.launch.yaml')
    assert {'task', 'viewer', 'frames', 'record', 'train'} <= set(stack)
    for name in LAUNCHES:
        found = declared_arguments(folder / f'{name}.launch.yaml')
        assert set(found) == set(stack)
        for argument, text in own_arguments(name).items():
            assert text['description'] == stack[argument].entity.get('description')


@pytest.mark.timeout(300)
@both_ros2
def test_inverted_pendulum(launch: Launch, world: str, tmp_path: Path) -> None:
    """Untrained, learning: an observation as JointState, plans once there is a model."""
    pytest.importorskip('mujoco')
    task = registry.task('InvertedPendulum')
    profile = tmp_path / 'quick.yaml'
    small = {'num_layers': 1, 'width': 16, 'max_epochs': 1, 'train_every': 50}
    profile.write_text(yaml.dump({'ensemble': small, 'learning': {'random_steps': 50}}))
    ears = Ears()
    try:
        states = ears.hear(JointState, 'state', qos.STATE)
        heard = ears.hear(Float64MultiArray, 'transition', qos.TRANSITION)
        telemetry = ears.hear(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
        process = launch(world, 'mujoco', task=task.name, profile=profile, speed=0)
        process.wait_for('random actions until the learner sends its first weights', START)
        process.wait_for('InvertedPendulum: 4 observations, 1 actions, 25 Hz', START)

        def planned() -> bool:
            last = conversions.telemetry_from_msg(telemetry[-1]) if telemetry else {}
            return last.get('iterations', 0) > 0 and len(heard) > 20

        until(planned, START, f'a plan\n{process.output}')
        assert process.interrupt() == 0
    finally:
        ears.close()
    run = [conversions.transition_from_msg(message, task) for message in heard]
    # The bridge waits for the learner, not for this test: the first ones may be missed here.
    assert len(run) > 20 and any(t.terminated for t in run)
    assert {t.reward for t in run} <= {0.0, 1.0}
    assert process.lines('episode=')[0].startswith('episode=0 return=')
    assert tuple(states[0].name) == task.observation_labels
    env = registry.make(task.name)
    begun = [t for t in run if t.step == 0]
    assert begun
    for transition in begun:
        start, _ = env.reset(seed=transition.episode)
        np.testing.assert_array_equal(transition.observation, start)
    seen = {tuple(conversions.state_from_msg(message, task)) for message in states}
    assert any(tuple(t.observation) in seen for t in begun)


@pytest.mark.timeout(300)
def test_point_goal(launch: Launch, tmp_path: Path) -> None:
    """Both costs in the line of an episode, the simulation's own and the planner's; a whole bag."""
    if importlib.util.find_spec('safety_gymnasium') is None:
        pytest.skip('no safety-gymnasium here')
    process = launch('standalone', 'safety_gym', speed=0, record='bag')
    process.wait_for('episode=0 ', START)
    line = process.lines('episode=0 ')[0]
    assert re.fullmatch(
        r'episode=0 return=\S+ cost_steps=\d+ cost=\d+ planner_cost=\d+ mean_goal=\S+ '
        r'mean_hazard=\S+ mean_speed=\S+ plan_hz=\S+ d0=0.00',
        line,
    )
    assert process.interrupt() == 0
    with AnyReader([tmp_path / 'bag']) as reader:
        found = {connection.topic for connection in reader.connections}
    topics = {'/state', '/command', '/transition', '/planner/telemetry', '/parameter_events'}
    assert found == topics
