# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learner node, as a process, fed by this test."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from ears import Ears
from stack import Process, make_checkpoint, node_command, until
from std_msgs.msg import Float64, Float64MultiArray, UInt8MultiArray

from loop_ros.agent import Agent
from loop_ros.nodes import conversions, qos
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.simulation import Simulation
from loop_ros.types import Transition

pytestmark = pytest.mark.slow
CAR = registry.task('drift_car')
TORCHRUN = (
    *('-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2', '--max-restarts=1'),
)
PROFILE = """
ensemble: {num_layers: 1, width: 16, train_every: 50, max_epochs: 2}
sac: {width: 16, batch_size: 16}
learning: {random_steps: 50}
"""


class Source(Ears):
    """Publishes transitions and hears what the learner says."""

    def __init__(self) -> None:
        super().__init__('source')
        self.transitions = self.create_publisher(Float64MultiArray, 'transition', qos.TRANSITION)
        self.weights = self.hear(UInt8MultiArray, 'weights', qos.WEIGHTS)
        self.diagnostics = self.hear(DiagnosticArray, '/diagnostics', qos.DIAGNOSTICS)

    def send(self, transitions: list[Transition]) -> None:
        until(self.transitions.get_subscription_count, 30, 'the learner listens')
        for transition in transitions:
            self.transitions.publish(conversions.transition_to_msg(transition, CAR))

    def status(self) -> dict[str, str]:
        count = len(self.diagnostics)
        until(lambda: len(self.diagnostics) > count, 10, 'diagnostics')
        (status,) = self.diagnostics[-1].status
        return {'name': status.name, **{pair.key: pair.value for pair in status.values}}

    def learned(self, count: int) -> dict[str, str]:
        """Diagnostics once so many transitions are learned."""
        end = time.monotonic() + 40
        while time.monotonic() < end:
            status = self.status()
            if int(status['learned']) >= count:
                return status
        raise AssertionError(f'{count} not learned: {status}')


def experience(count: int) -> list[Transition]:
    simulation, rng = Simulation(CAR, registry.make('drift_car'), 0), np.random.default_rng(0)
    return [simulation.step(rng.uniform(CAR.action_low, CAR.action_high)) for _ in range(count)]


@pytest.fixture
def learner(ros_domain: int, tmp_path: Path) -> Iterator[tuple]:
    (tmp_path / 'small.yaml').write_text(PROFILE)
    started: list[Process] = []

    def start(launcher: tuple[str, ...] = (), **parameters: object) -> Process:
        command = node_command(
            'learner',
            profile=tmp_path / 'small.yaml',
            checkpoint_dir=tmp_path / 'kept',
            **{'checkpoint': 'none', **parameters},
        )
        command[1:1] = launcher
        started.append(Process(command, tmp_path / f'log{len(started)}'))
        return started[-1]

    source = Source()
    yield start, source, tmp_path / 'kept'
    source.close()
    for process in started:
        process.popen.terminate()  # a launcher's children are in groups of their own
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.popen.wait(20.0)
        process.kill()


def steps_in(folder: Path) -> int:
    return int(json.loads((folder / 'agent.json').read_text())['num_steps'])


def test_learns_publishes_counts_and_saves_on_interrupt(learner: tuple) -> None:
    start, source, kept = learner
    process = start(save_period=1000)
    run = experience(130)
    source.send(run[:60] + run[55:60] + run[70:])  # five twice, ten never
    status = source.learned(120)
    assert status['name'] == '/learner: learning'
    assert (status['duplicates'], status['gaps'], status['missing']) == ('5', '1', '10')
    until(lambda: source.weights, 10, 'weights')
    plotted = {
        name: source.hear(Float64, f'learner/telemetry/{name}', 10)
        for name in ('learned', 'critic_loss', 'model_loss')
    }
    until(lambda: all(plotted.values()), 10, 'figures for plots')
    status = source.status()
    assert plotted['learned'][-1].data == 120
    for name in ('critic_loss', 'model_loss'):
        assert f'{plotted[name][-1].data:.4g}' == status[name]
    agent = Agent(CAR, Settings.load(str(kept.parent / 'small.yaml')))
    assert agent.load_weights(conversions.weights_from_msg(source.weights[-1])) >= 1
    broken = conversions.transition_to_msg(run[0], CAR)
    broken.data = broken.data[:5]
    source.transitions.publish(broken)
    process.wait_for('transition refused (1 so far): 5 numbers, expected 21')
    process.wait_for('gap before episode 0 step 70: 10 transitions missing so far')
    assert process.interrupt() == 0
    assert steps_in(kept) == 120


def process_of_rank(launcher: int, rank: int) -> int:
    """The child of a launcher that has a rank."""
    children = Path(f'/proc/{launcher}/task/{launcher}/children').read_text().split()
    (found,) = (
        int(child)
        for child in children
        if f'RANK={rank}' in Path(f'/proc/{child}/environ').read_text().split('\0')
    )
    return found


@pytest.mark.timeout(240)
def test_of_two_processes_one_is_killed(learner: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their launcher says whom it lost, and starts both again from the last save."""
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    start, source, kept = learner
    process = start(TORCHRUN, save_period=0.2)
    run = experience(160)
    source.send(run[:100])
    source.learned(100)
    until(lambda: (kept / 'agent.json').is_file() and steps_in(kept) == 100, 20, 'a save of all')
    os.kill(process_of_rank(process.popen.pid, 1), signal.SIGKILL)
    process.wait_for(f'resumed from {kept}, 100 steps', 90.0)
    assert 'exitcode: -9' in process.output
    source.send(run[100:])
    source.learned(60)
    process.popen.send_signal(signal.SIGINT)
    process.popen.wait(40.0)
    assert steps_in(kept) == 160


def test_resumes_after_sigkill(learner: tuple) -> None:
    start, source, kept = learner
    process = start(save_period=0.3)
    run = experience(160)
    source.send(run[:100])
    source.learned(100)
    until(lambda: (kept / 'agent.json').is_file() and steps_in(kept) == 100, 10, 'the save')
    process.popen.send_signal(signal.SIGKILL)
    process.popen.wait()
    source.weights.clear()
    process = start(save_period=1000)
    process.wait_for('resumed from')
    assert '100 steps' in process.output
    until(lambda: source.weights, 10, 'latched weights of the resumed learner')
    time.sleep(0.5)  # the killed one still counts as a listener
    source.send(run[100:])
    assert source.learned(60)['gaps'] == '0'
    assert process.interrupt() == 0
    assert steps_in(kept) == 160


def test_shares_a_trained_model_at_once_and_refuses_a_broken_folder(
    learner: tuple, tmp_path: Path
) -> None:
    start, source, kept = learner
    process = start(checkpoint=make_checkpoint(tmp_path / 'c'))
    until(lambda: source.weights, 30, 'weights')
    late = Ears('latecomer')
    heard = late.hear(UInt8MultiArray, 'weights', qos.WEIGHTS)
    until(lambda: heard, 10, 'latched weights')
    late.close()
    assert process.interrupt() == 0
    kept.mkdir(exist_ok=True)
    (kept / 'agent.json').write_text('{')
    process = start()
    assert process.wait(40) == 1
    assert 'cannot configure' in process.output and 'agent.json' in process.output


def test_intake_never_waits_for_learning(learner: tuple, tmp_path: Path) -> None:
    start, source, _ = learner
    slow = PROFILE.replace('batch_size: 16', 'batch_size: 256, updates_per_step: 200')
    (tmp_path / 'small.yaml').write_text(slow)
    process = start()
    process.wait_for('weights version 0')
    run = experience(400)
    numbered = [dataclasses.replace(t, stamp=t.stamp + 1.0) for t in run]
    source.send(numbered)
    until(lambda: int(source.status()['received']) == 400, 30, 'all of them')
    assert int(source.status()['learned']) < 400
    assert process.interrupt() == 0
