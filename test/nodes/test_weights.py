# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner takes the weights of one node, whoever else publishes some."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ears import Ears
from planner_robot import CAR, Robot, start
from stack import Process, make_checkpoint, until
from std_msgs.msg import UInt8MultiArray

from loop_ros.agent import Agent
from loop_ros.nodes import conversions, qos
from loop_ros.nodes.weights import UNKNOWN, full_name, objection

pytestmark = pytest.mark.slow


class Teacher(Ears):
    """Publishes weights, latched."""

    def __init__(self, agent: Agent, name: str, version: int) -> None:
        super().__init__(name)
        self.agent = agent
        self.publisher = self.create_publisher(UInt8MultiArray, 'weights', qos.WEIGHTS)
        self.publish(version)

    def publish(self, version: int) -> None:
        self.agent.version = version
        self.publisher.publish(conversions.weights_to_msg(self.agent.weights()))


@pytest.fixture(scope='module')
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    folder = make_checkpoint(tmp_path_factory.mktemp('weights') / 'c')
    return Agent.load(folder, CAR, seed=1)


@pytest.fixture(scope='module')
def planner(
    agent: Agent, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Process, Robot]]:
    folder = tmp_path_factory.mktemp('planner')
    agent.version = 1
    agent.save(folder / 'c')
    process, robot = start(folder / 'c', folder / 'log', weights_from='learner')
    robot.destroy_publisher(robot.weights)
    yield process, robot
    robot.close()
    process.kill()


def has(robot: Robot, version: int) -> None:
    until(lambda: robot.status()['weights version'] == str(version), 15, f'version {version}')


def test_another_publisher_is_refused_by_name(planner: tuple[Process, Robot], agent: Agent) -> None:
    process, robot = planner
    learner = Teacher(agent, 'learner', 5)
    has(robot, 5)
    intruder = Teacher(agent, 'intruder', 6)
    process.wait_for(
        'weights refused, version 5 stays: published by /intruder, and weights_from allows '
        'only /learner'
    )
    learner.publish(7)  # who sent this cannot be told either
    assert robot.drive()['level'] == 0
    assert robot.status()['weights version'] == '5'
    intruder.close()
    has(robot, 7)  # without being published again
    learner.close()


def test_a_second_node_of_the_name_is_refused(planner: tuple[Process, Robot], agent: Agent) -> None:
    process, robot = planner
    learner = Teacher(agent, 'learner', 15)
    has(robot, 15)
    twin = Teacher(agent, 'learner', 16)
    process.wait_for('version 15 stays: 2 publishers call themselves /learner; one is allowed')
    twin.close()
    has(robot, 15)
    learner.publish(18)
    has(robot, 18)
    learner.close()


@pytest.mark.parametrize(
    ('publishers', 'allowed', 'reason'),
    [
        (['/learner'], '/learner', ''),
        (['/a', '/b'], '', ''),
        (['/red/learner'], '/learner', 'published by /red/learner'),
        (['/learner', f'/{UNKNOWN}'], '/learner', f'published by /{UNKNOWN}'),
        (['/learner', '/b', '/a'], '/learner', 'published by /a, /b, and weights_from'),
        (['/learner', '/learner'], '/learner', '2 publishers call themselves /learner'),
        ([], '/learner', 'their publisher is gone'),
    ],
)
def test_who_may_publish(publishers: list[str], allowed: str, reason: str) -> None:
    found = objection(publishers, allowed)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_names_are_those_of_the_namespace() -> None:
    assert full_name('/', 'learner') == full_name('', 'learner') == '/learner'
    assert full_name('/red', 'learner') == '/red/learner'
    assert full_name('/red', '/blue/learner') == '/blue/learner'
