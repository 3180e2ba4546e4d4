# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots that learn together, each in its namespace (docs/fleet.md)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from faults import CAR, write_profile
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from stack import ROS2, Process, environment, make_prefix, node_command, until
from std_msgs.msg import Float64MultiArray

from loop_ros.nodes import conversions, qos
from loop_ros.sim import registry
from loop_ros.sim.simulation import Simulation
from loop_ros.types import Transition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROBOTS = ('robot_1', 'robot_2')
SLOW_PROFILE = """
ensemble: {num_layers: 1, width: 16, train_every: 100000}
off_policy: {width: 64, batch_size: 256, updates_per_step: 20}
learning: {random_steps: 50}
"""


class Watcher(Ears):
    """Hears what robots and learner of a fleet say."""

    def __init__(self) -> None:
        super().__init__('watcher')
        self.diagnostics = self.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)
        self.transitions = {
            name: self.hear(Float64MultiArray, f'/{name}/transition', qos.TRANSITION)
            for name in ROBOTS
        }
        self.telemetry = {
            name: self.hear(Float64MultiArray, f'/{name}/planner/telemetry', qos.TELEMETRY)
            for name in ROBOTS
        }

    def status(self, name: str) -> dict[str, str]:
        """The newest status of this name; empty before there is one."""
        for message in reversed(self.diagnostics):
            for status in message.status:
                if status.name == name:
                    values = {pair.key: pair.value for pair in status.values}
                    return {'message': status.message, 'level': status.level[0], **values}
        return {}

    def count(self, robot: str, key: str) -> int:
        """A count of the learner about a robot."""
        return int(self.status(f'/learner: {robot}').get(key, 0))

    def set(self, node: str, name: str, value: ParameterValue) -> tuple[bool, str]:
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        (result,) = self.call(SetParameters, f'{node}/set_parameters', request, 30.0).results
        return bool(result.successful), result.reason

    def d0(self, robot: str) -> float:
        """That of a robot's newest plan."""
        telemetry = self.telemetry[robot]
        telemetry.clear()
        until(lambda: len(telemetry) > 2, 20, 'plans')
        return conversions.telemetry_from_msg(telemetry[-1])['d0']


@pytest.fixture
def watcher(ros_domain: int) -> Iterator[Watcher]:
    watcher = Watcher()
    yield watcher
    watcher.close()


def node_of(robot: str, name: str, prefix: Path) -> int:
    """The process of a robot's node that was started from this prefix, with its own keys."""
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_bytes().decode().split('\0')
        except OSError:  # it has ended
            continue
        if f'{prefix}/lib/loop_ros/{name}_node' in words and f'__ns:=/{robot}' in words:
            assert words[words.index('--enclave') + 1] == f'/loop_ros/{robot}/{name}'
            return int(path.parent.name)
    raise AssertionError(f'no {name} of {robot} runs')


def test_two_robots_by_the_launch_file(watcher: Watcher, tmp_path: Path) -> None:
    """They drive and learn together; one has bad sensors, and one is killed and returns.

    The models tell them apart.
    """
    task = registry.task('drift_car@2')
    prefix = make_prefix(tmp_path / 'prefix')
    profile, start = write_profile(tmp_path, task)
    # Weights are taken untried: whether they are good is no matter here.
    params = tmp_path / 'params.yaml'
    params.write_text('/**/planner:\n  ros__parameters: {trial_steps: 0}\n')
    arguments = {
        'robots': 2,
        'task': task.name,
        'params_file': params,
        'speed': 0,
        'profile': profile,
        'checkpoint': start,
        'checkpoint_dir': tmp_path / 'kept',
        'disturb': 'none,noise=100',
        'd0': 0.5,
    }
    command = [*ROS2['standalone'], 'launch', 'loop_ros', 'fleet.launch.py']
    command += [f'{name}:={value}' for name, value in arguments.items()]
    fleet = Process(command, tmp_path / 'log', env=environment(prefix), cwd=tmp_path)
    try:
        until(lambda: all(watcher.count(r, 'learned') > 60 for r in ROBOTS), 60, 'learning')
        firsts = [conversions.transition_from_msg(watcher.transitions[r][0], task) for r in ROBOTS]
        assert firsts[0].observation[0] != firsts[1].observation[0]
        assert [first.observation[-1] for first in firsts] == [1, 2]
        for robot in ROBOTS:  # both have the weights of the one learner
            planner = f'/{robot}/planner: planning'
            until(lambda p=planner: int(watcher.status(p)['weights version']) > 1, 30, 'weights')
            assert watcher.count(robot, 'missing') == watcher.count(robot, 'duplicates') == 0

        assert watcher.set('/robot_1/planner', 'd0', ParameterValue(type=3, double_value=0.9))[0]
        until(lambda: watcher.d0('robot_1') == 0.9, 30, 'plans under it')
        assert watcher.d0('robot_2') == 0.5

        fleet.wait_for('robot_2: its model error is', 60)
        assert 'robot_1: its model error is' not in fleet.output
        wrong = ParameterValue(type=4, string_value='robot_3')
        assert watcher.set('/learner', 'leave_out', wrong) == (
            False,
            'leave_out: robot_3 is none of the sources (robot_1, robot_2)',
        )
        assert watcher.set('/learner', 'leave_out', ParameterValue(type=4, string_value='robot_2'))
        until(lambda: watcher.count('robot_2', 'left out') > 5, 30, 'robot_2 is left out')
        message = watcher.status('/learner: robot_2')['message']
        assert message == 'left out of learning (parameter leave_out)'
        learned = [watcher.count(robot, 'learned') for robot in ROBOTS]
        until(lambda: watcher.count('robot_1', 'learned') > learned[0] + 15, 30, 'more of robot_1')
        assert watcher.count('robot_2', 'learned') == learned[1]

        os.kill(node_of('robot_1', 'bridge', prefix), signal.SIGKILL)
        others = len(watcher.transitions['robot_2'])
        until(lambda: watcher.count('robot_1', 'restarts') == 1, 60, 'robot_1 again')
        assert len(watcher.transitions['robot_2']) > others + 10  # which drove on
        assert watcher.count('robot_1', 'missing') == 0
        fleet.interrupt()
        assert f'saved in {tmp_path / "kept"}' in fleet.output
    finally:
        fleet.kill()


def test_a_flood_of_one_robot_is_held_back(watcher: Watcher, tmp_path: Path) -> None:
    """All of it is accounted for, and the other robot learns as if there were none."""
    (tmp_path / 'slow.yaml').write_text(SLOW_PROFILE)
    command = node_command(
        'learner', sources='robot_1,robot_2', profile=tmp_path / 'slow.yaml', checkpoint='none'
    )
    learner = Process(command, tmp_path / 'log')
    publishers = {
        name: watcher.create_publisher(Float64MultiArray, f'/{name}/transition', qos.TRANSITION)
        for name in ROBOTS
    }
    flood = driven(1000, 1)
    calm = [conversions.transition_to_msg(t, CAR) for t in driven(30, 2)]
    try:
        for publisher in publishers.values():
            # The test hears it too.
            until(lambda p=publisher: p.get_subscription_count() > 1, 60, 'the learner listens')
        word = 'more transitions than its control rate explains: they are held back'
        sent, end = 0, time.monotonic() + 90
        while word not in learner.output:
            assert time.monotonic() < end, 'no word of the flood'
            for _ in range(25):
                step = replace(flood[sent % len(flood)], step=sent)
                publishers['robot_2'].publish(conversions.transition_to_msg(step, CAR))
                sent += 1
            time.sleep(0.05)  # or most would be lost on the way
        for message in calm:
            publishers['robot_1'].publish(message)
        until(lambda: watcher.count('robot_1', 'learned') == len(calm), 60, 'the other one')
        assert watcher.count('robot_1', 'kept without an update') == 0
        assert watcher.count('robot_2', 'backlog') > 0  # it is still behind
        known = ('learned', 'held back', 'left out', 'backlog', 'refused')

        def is_all_accounted_for() -> bool:
            count = {key: watcher.count('robot_2', key) for key in (*known, 'received', 'missing')}
            in_hand = count['received'] - sum(count[key] for key in known)
            return count['received'] + count['missing'] == sent and in_hand in (0, 1)

        until(is_all_accounted_for, 30, f'an account of {sent}')
    finally:
        learner.kill()


def driven(count: int, seed: int) -> list[Transition]:
    """Random driving in one long episode, so that all that goes missing is counted."""
    simulation, rng = Simulation(CAR, registry.make('drift_car'), seed), np.random.default_rng(seed)
    run = [simulation.step(rng.uniform(CAR.action_low, CAR.action_high)) for _ in range(count)]
    return [replace(t, episode=0, step=step, truncated=False) for step, t in enumerate(run)]
