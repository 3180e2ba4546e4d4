# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch of the drift car, by the standalone ros2 always and by the real one where it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ears import Ears
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock
from stack import ROS2, Process, both_ros2, environment, make_prefix, until
from std_msgs.msg import Float64MultiArray

from loop_ros.bags.reader import BagReader
from loop_ros.nodes import conversions, qos
from loop_ros.sim import registry

pytestmark = pytest.mark.slow
CAR = registry.task('drift_car')
ARGUMENTS = (
    'task',
    'd0',
    'device',
    'profile',
    'checkpoint',
    'train',
    'step_mode',
    'speed',
    'viewer',
    'frames',
    'record',
    'duration',
    'namespace',
    'enclave',
    'use_sim_time',
    'log_level',
    'params_file',
    'seed',
    'autostart',
)
EPISODE = re.compile(
    r'episode=\d+ return=-?[\d.]+ cost_steps=\d+ mean_speed=[\d.]+ mean_slip=[\d.]+ '
    r'mean_radius=[\d.]+ plan_hz=[\d.]+ d0=[\d.]+'
)
SUMMARY = re.compile(r'summary: episodes=\d+ mean_return=\S+ cost_steps=\d+ plan_hz=\S+')
Launch = Callable[..., Process]


@pytest.fixture(scope='module')
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prefix(tmp_path_factory.mktemp('prefix'))


@pytest.fixture
def launch(ros_domain: int, prefix: Path, checkpoint: Path, tmp_path: Path) -> Iterator[Launch]:
    """Starts a launch with a small planner, from a file of ROS parameters."""
    started: list[Process] = []
    params = tmp_path / 'params.yaml'
    params.write_text(
        '/**/planner:\n'
        '  ros__parameters: {num_samples: 16, num_iterations: 1, min_safe: 1, d0: 0.35}\n'
    )

    def start(world: str, *options: str, **arguments: object) -> Process:
        values = {'checkpoint': checkpoint, 'params_file': params, **arguments}
        command = [*ROS2[world], 'launch', 'loop_ros', 'drift_car.launch.py']
        command += [*(f'{name}:={value}' for name, value in values.items()), *options]
        log = tmp_path / f'launch{len(started)}'
        started.append(Process(command, log, env=environment(prefix), cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def set_d0(ears: Ears, value: ParameterValue, node: str = '/planner') -> bool:
    request = SetParameters.Request(parameters=[Parameter(name='d0', value=value)])
    response = ears.call(SetParameters, f'{node}/set_parameters', request, 30.0)
    return bool(response.results[0].successful)


def plans(telemetry: list[Float64MultiArray]) -> list[dict[str, float]]:
    """The telemetry of fresh plans; that of a fallback, as at a stalled start, has no d0."""
    found = [conversions.telemetry_from_msg(message) for message in telemetry]
    return [figures for figures in found if figures['level'] == 0]


@both_ros2
def test_arguments_are_shown(launch: Launch, world: str) -> None:
    process = launch(world, '-s')
    assert process.wait() == 0
    shown = process.output
    for name in ARGUMENTS:
        assert f"'{name}':" in shown, shown
    assert 'no description given' not in shown
    assert 'safety threshold' in shown


@both_ros2
def test_drives_learns_and_ends_by_itself(launch: Launch, world: str, tmp_path: Path) -> None:
    ears = Ears()
    try:
        heard = ears.hear(Float64MultiArray, 'transition', qos.TRANSITION)
        telemetry = ears.hear(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
        process = launch(
            world, duration=14, speed=0, d0=1, seed=2, checkpoint_dir=tmp_path / 'kept'
        )
        until(lambda: len(plans(telemetry)) > 5, 40, 'the first plans')
        assert plans(telemetry)[-1]['d0'] == 1.0
        assert set_d0(ears, ParameterValue(type=2, integer_value=3))
        telemetry.clear()
        until(lambda: len(plans(telemetry)) > 3, 10, 'further plans')
        assert plans(telemetry)[-1]['d0'] == 3.0
        assert not set_d0(ears, ParameterValue(type=3, double_value=float('nan')))
        assert process.wait(60.0) == 0
    finally:
        ears.close()
    run = [conversions.transition_from_msg(message, CAR) for message in heard]
    first = run[0]
    assert [(t.episode, t.step) for t in run] == [
        divmod(first.episode * 100 + first.step + i, 100) for i in range(len(run))
    ]
    episodes = process.lines('episode=')
    assert episodes and all(EPISODE.fullmatch(line) for line in episodes), process.output
    assert SUMMARY.fullmatch(process.lines('summary:')[-1])
    assert episodes[-1].endswith('d0=3.00')
    assert (tmp_path / 'kept/agent.json').is_file()


@both_ros2
def test_interrupt(launch: Launch, world: str) -> None:
    process = launch(world, train='false', speed=0)
    process.wait_for('episode=0')
    assert process.interrupt() == 0
    assert SUMMARY.fullmatch(process.lines('summary:')[-1])
    assert 'escalating' not in process.output.lower()


def test_realtime(launch: Launch) -> None:
    ears = Ears()
    try:
        telemetry = ears.hear(Float64MultiArray, 'planner/telemetry', qos.TELEMETRY)
        process = launch('standalone', step_mode='realtime', speed=0.5, train='false', duration=10)
        assert process.wait(60.0) == 0
    finally:
        ears.close()
    levels = [conversions.telemetry_from_msg(message)['level'] for message in telemetry]
    assert levels.count(0) > 20, process.output
    assert SUMMARY.fullmatch(process.lines('summary:')[-1])


def test_records_a_complete_bag(launch: Launch, tmp_path: Path) -> None:
    process = launch('standalone', record='bag', train='false', speed=0, duration=8)
    assert process.wait(60.0) == 0, process.output
    assert all(line.endswith('d0=0.35') for line in process.lines('episode='))  # of params_file
    assert 'num_samples 16 (64), num_iterations 1 (3)' in process.output  # not the checkpoint's
    with AnyReader([tmp_path / 'bag']) as reader:
        found = {connection.topic: connection.msgcount for connection in reader.connections}
        transitions = [
            conversions.layout.transition_layout(CAR).transition(
                reader.deserialize(raw, connection.msgtype).data
            )
            for connection, _, raw in reader.messages(
                [c for c in reader.connections if c.topic == '/transition']
            )
        ]
    topics = {'/odom', '/command', '/transition', '/planner/telemetry', '/parameter_events'}
    assert set(found) == topics
    numbers = [(t.episode, t.step) for t in transitions]
    assert len(numbers) > 20
    assert numbers == [divmod(index, 100) for index in range(len(numbers))]
    read = {round(t.stamp, 6): t for t in BagReader([tmp_path / 'bag'], CAR)}
    assert len(read) == len(transitions)
    rebuilt = list(BagReader([tmp_path / 'bag'], CAR, rebuild=True))
    assert len(rebuilt) > len(read) / 2  # states are best effort
    for t in rebuilt:
        twin = read[round(t.stamp, 6)]
        assert (t.reward, t.cost) == (pytest.approx(twin.reward), twin.cost)
        assert t.action == pytest.approx(twin.action)


def test_two_stacks_side_by_side(launch: Launch) -> None:
    ears = Ears()
    try:
        transitions = {
            name: ears.hear(Float64MultiArray, f'/{name}/transition', qos.TRANSITION)
            for name in ('one', 'two')
        }
        telemetry = {
            name: ears.hear(Float64MultiArray, f'/{name}/planner/telemetry', qos.TELEMETRY)
            for name in ('one', 'two')
        }
        clocks = ears.hear(Clock, '/two/clock', qos.CLOCK)
        alone = ears.hear(Clock, '/clock', qos.CLOCK)
        stacks = [
            launch('standalone', namespace='one', train='false', speed=0, seed=1),
            launch('standalone', namespace='two', train='false', speed=1, seed=2, d0=0.7),
        ]
        until(lambda: all(len(t) > 20 for t in transitions.values()), 60, 'both drive')
        assert set_d0(ears, ParameterValue(type=3, double_value=0.4), '/one/planner')
        telemetry['one'].clear()
        telemetry['two'].clear()
        until(lambda: all(len(t) > 5 for t in telemetry.values()), 20, 'telemetry of both')
        found = [conversions.telemetry_from_msg(t[-1])['d0'] for t in telemetry.values()]
        assert found == [0.4, 0.7]
        assert clocks and not alone
        firsts = [conversions.transition_from_msg(t[0], CAR) for t in transitions.values()]
        assert firsts[0].observation[0] != firsts[1].observation[0]
        for stack in stacks:
            assert stack.interrupt() == 0
    finally:
        ears.close()


def test_what_is_no_choice_is_refused(launch: Launch) -> None:
    process = launch('standalone', step_mode='turbo')
    assert process.wait() != 0
    assert 'turbo' in process.output and 'lockstep' in process.output


def test_a_launch_is_for_its_own_task(launch: Launch) -> None:
    process = launch('standalone', task='HalfCheetah')
    assert process.wait() != 0
    assert "'HalfCheetah', which is none of its choices: drift_car" in process.output


def test_a_node_that_cannot_start_ends_the_launch_with_failure(launch: Launch) -> None:
    process = launch('standalone', profile='fastest', train='false')
    assert process.wait(40.0) != 0
    assert "unknown profile 'fastest'" in process.output
