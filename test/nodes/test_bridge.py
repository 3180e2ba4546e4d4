# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bridge node, as a process, driven by this test."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from stack import Process, node_command, until
from std_msgs.msg import Bool, Float64MultiArray, UInt32
from std_srvs.srv import Trigger

from loop_ros.bags.reader import BagReader
from loop_ros.nodes import conversions, qos
from loop_ros.nodes.bridge import LEARNER_BACKLOG
from loop_ros.sim import registry

pytestmark = pytest.mark.slow
CAR = registry.task('drift_car')
PERIOD = 35_000_000


class Driver(Ears):
    """Answers states with commands."""

    def __init__(self) -> None:
        super().__init__('driver')
        self.command = self.create_publisher(JointState, 'command', qos.COMMAND)
        self.states = self.hear(Odometry, 'odom', qos.STATE)
        self.transitions = self.hear(Float64MultiArray, 'transition', qos.TRANSITION)
        self.clock = self.hear(Clock, '/clock', qos.CLOCK)
        self.diagnostics = self.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)

    def newest(self) -> int:
        until(lambda: self.states, 30, 'a state')
        return conversions.time_from_msg(self.states[-1].header.stamp)

    def answer(self, stamp: int, action: tuple[float, float] = (3.0, 0.3)) -> None:
        self.command.publish(conversions.command_to_msg(np.array(action), CAR, stamp))

    def refused(self, stamp: int) -> None:
        """Answer until the bridge has counted a command that it cannot use."""
        before = int(self.status()['dropped commands'])

        def counted() -> bool:
            self.answer(stamp)
            return int(self.status()['dropped commands']) > before

        until(counted, 10, f'a dropped answer to {stamp}')

    def step(self, action: tuple[float, float] = (3.0, 0.3)) -> None:
        """One period in lockstep."""
        count, stamp = len(self.transitions), self.newest()
        self.answer(stamp, action)
        until(lambda: len(self.transitions) > count, 5, f'the step from {stamp}')
        until(lambda: self.newest() > stamp, 5, 'the next state')

    def read(self) -> list:
        return [conversions.transition_from_msg(m, CAR) for m in list(self.transitions)]

    def status(self) -> dict[str, str]:
        count = len(self.diagnostics)
        until(lambda: len(self.diagnostics) > count, 5, 'diagnostics')
        return {pair.key: pair.value for pair in self.diagnostics[-1].status[0].values}


@pytest.fixture
def bridge(ros_domain: int, tmp_path: Path) -> Iterator:
    started: list[Process] = []
    driver = Driver()

    def start(**parameters: object) -> tuple[Process, Driver]:
        started.append(Process(node_command('bridge', **parameters), tmp_path / 'log'))
        driver.newest()
        until(driver.command.get_subscription_count, 20, 'the bridge listens')
        return started[-1], driver

    yield start
    driver.close()
    for process in started:
        process.kill()


def test_lockstep(bridge) -> None:
    process, driver = bridge(speed=0, seed=3, transition_listeners=1, command_timeout=0.2)
    assert driver.newest() == 0
    expected, _ = registry.make('drift_car').reset(seed=3)
    state = conversions.odometry_from_msg(driver.states[-1], CAR)
    np.testing.assert_allclose(state, expected, atol=1e-12)
    driver.refused(5)  # no such state
    assert not driver.transitions  # no step without its command
    repeats = len(driver.states)
    assert repeats >= 2  # the state is repeated meanwhile
    driver.step((50.0, -9.0))
    first = driver.read()[0]
    assert (first.stamp, first.episode, first.step) == (0.0, 0, 0)
    np.testing.assert_array_equal(first.action, (10.0, -np.pi / 6))
    driver.refused(0)  # answered already
    for _ in range(99):
        driver.step()
    process.wait_for('episode=0 ')
    until(lambda: driver.newest() == 100 * PERIOD + 10**9, 5, 'the next episode')
    driver.step((math.nan, 0.0))
    process.wait_for("command on /command refused, safe instead: command 'wheel_speed' is nan")
    np.testing.assert_array_equal(driver.read()[-1].action, CAR.safe_command)
    reply = driver.call(Trigger, '/bridge/reset', Trigger.Request())
    assert reply.success and 'episode 1' in reply.message
    driver.step()
    driver.step()
    run = driver.read()
    assert [(t.episode, t.step) for t in run] == [
        *((0, step) for step in range(100)),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    assert run[101].truncated and run[99].truncated and not run[100].truncated
    assert conversions.time_from_msg(driver.clock[-1].clock) == driver.newest()
    status = driver.status()
    assert status['clipped commands'] == '1' and int(status['dropped commands']) >= 2
    time.sleep(0.6)
    process.wait_for('no command on /command for 0.2 s: waiting')
    assert process.interrupt() == 0
    lines = process.output.splitlines()
    assert [line.split()[0] for line in lines if line.startswith('episode=')] == [
        'episode=0',
        'episode=1',
    ]
    assert lines[-1].startswith('summary: episodes=2 mean_return=')


def test_realtime_takes_the_newest_command_or_the_safe_one(bridge) -> None:
    process, driver = bridge(step_mode='realtime', command_timeout=0.3, duration=8)
    time.sleep(0.3)
    assert not driver.transitions  # the clock waits for the first answer
    begun = time.monotonic()
    driver.answer(driver.newest())
    until(lambda: len(driver.transitions) > 40, 10, 'steps')
    assert (time.monotonic() - begun) / 41 == pytest.approx(0.035, rel=0.5)
    actions = [t.action[0] for t in driver.read()]
    assert actions[0] == 3.0 and actions[-1] == 0.0  # silence: the safe command
    driver.answer(0, (2.0, 0.0))  # an old stamp is still the newest command
    until(lambda: driver.read()[-1].action[0] == 2.0, 5, 'recovery')
    run = driver.read()
    assert [(t.episode, t.step) for t in run][:100] == [(0, s) for s in range(len(run))][:100]
    assert process.wait() == 0  # the duration is over
    assert 'no command on /command for 0.3 s: safe command' in process.output
    assert process.output.splitlines()[-1].startswith('summary: episodes=')


def test_lockstep_is_paced(bridge) -> None:
    _, driver = bridge(speed=2.0)
    driver.step()
    begun = time.monotonic()
    for _ in range(20):
        driver.step()
    assert time.monotonic() - begun >= 20 * 0.035 / 2 * 0.9


def test_as_fast_as_it_goes_is_as_fast_as_the_learner_learns(bridge) -> None:
    _, driver = bridge(speed=0)
    learner = driver.create_publisher(UInt32, 'backlog', qos.COMMAND)
    until(learner.get_subscription_count, 10, 'the bridge listens')
    driver.step()
    stamp, dropped = driver.newest(), driver.status()['dropped commands']
    count, states = len(driver.transitions), len(driver.states)
    for _ in range(10):
        learner.publish(UInt32(data=LEARNER_BACKLOG + 1))
        time.sleep(0.05)
        driver.answer(stamp)
    assert len(driver.transitions) == count
    assert len(driver.states) > states  # meanwhile nobody takes it for dead
    assert driver.status()['dropped commands'] == dropped
    learner.publish(UInt32(data=LEARNER_BACKLOG))
    until(lambda: len(driver.transitions) == count + 1, 5, 'the step')
    learner.publish(UInt32(data=LEARNER_BACKLOG + 1))
    time.sleep(0.1)
    driver.answer(driver.newest())
    until(lambda: len(driver.transitions) == count + 2, 10, 'a step without the learner')


@pytest.mark.parametrize('comes_back', [True, False])
def test_at_its_end_a_listener_that_lags_gets_all_transitions(
    bridge, tmp_path: Path, comes_back: bool
) -> None:
    """A stopped recorder stands for a slow or cut network; one that stays away is named."""
    process, driver = bridge(speed=0, transition_listeners=2)
    bag = tmp_path / 'bag'
    words = ['bag', 'record', '-o', str(bag), '--topics', '/transition']
    recorder = Process([sys.executable, '-m', 'ros2_standalone', *words], tmp_path / 'recorder')
    again = threading.Timer(2.0, recorder.popen.send_signal, [signal.SIGCONT])
    try:
        until(lambda: driver.answer(0) or driver.transitions, 30, 'the first step')
        driver.step()
        recorder.popen.send_signal(signal.SIGSTOP)
        for _ in range(20):
            driver.step()
        if comes_back:
            again.start()
        assert process.interrupt() == 0
        lacking = '/transition: after 4 s some subscriber lacks messages'
        assert (lacking in process.output) is not comes_back
        recorder.popen.send_signal(signal.SIGCONT)
        assert recorder.interrupt() == 0
        if comes_back:
            assert len(list(BagReader([bag], CAR))) == len(driver.transitions)
    finally:
        again.cancel()
        recorder.kill()


def test_a_random_action_is_no_plan_and_an_end_no_silence(bridge) -> None:
    process, driver = bridge(speed=0)
    paused = driver.hear(Bool, 'paused', qos.STATUS)
    until(lambda: paused, 10, 'that it runs')
    told = driver.create_publisher(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
    until(told.get_subscription_count, 10, 'the bridge listens')
    for iterations in (0, 3):
        values = {'plan_s': 0.01 / (1 + iterations), 'd0': 0.2, 'iterations': iterations}
        told.publish(conversions.telemetry_to_msg({'stamp': 0.0, 'level': 0, **values}))
        time.sleep(0.2)
    assert [message.data for message in paused] == [False]
    assert process.interrupt() == 0
    assert process.output.splitlines()[-1].endswith('plan_hz=400.0')
    assert [message.data for message in paused] == [False, True]  # so nobody misses states


def test_realtime_needs_a_speed(tmp_path: Path) -> None:
    command = node_command('bridge', step_mode='realtime', speed=0)
    process = Process(command, tmp_path / 'log')
    assert process.wait() == 1
    assert 'speed: 0 (as fast as it goes) needs step_mode lockstep' in process.output
