# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A full disk, and a network that is gone for ten seconds (docs/faults.md)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from faults import CAR, Stack, as_stored, assert_within, stored, write_profile
from stack import Process, elsewhere, node_command, until

from loop_ros.bags.reader import BagReader
from loop_ros.types import Transition

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
OUTAGE = 10.0  # s
ROBOT, COMPUTER = f'robot{os.getpid()}', f'computer{os.getpid()}'  # network namespaces


def system(*words: str) -> None:
    made = subprocess.run(words, capture_output=True, text=True)
    if made.returncode:
        raise OSError(f'{" ".join(words)}: {made.stderr.strip()}')


def ip(words: str) -> None:
    system('ip', *words.split())


def transitions(bag: Path) -> list[Transition]:
    return list(BagReader([bag], CAR))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    path = tmp_path / 'disk'
    path.mkdir()
    try:
        system('mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', str(path))
    except OSError as error:
        pytest.skip(f'no disk of its own: {error}')
    yield path
    system('umount', str(path))


def fill(path: Path) -> None:
    """Leave no byte free."""
    with path.open('wb', buffering=0) as file:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def test_a_full_disk(ros_domain: int, disk: Path, tmp_path: Path) -> None:
    stack = Stack(tmp_path, disk / 'kept', listeners=3)
    record = [sys.executable, '-m', 'ros2_standalone', 'bag', 'record', '-o', str(disk / 'bag')]
    recorder = Process([*record, '--topics', '/transition'], tmp_path / 'record.log')
    try:
        recorder.wait_for('Listening')
        stack.start('bridge', 'planner', 'learner')
        recorder.wait_for("Subscribed to topic '/transition'")
        stack.drives(60)
        stack.assert_stored()
        fill(disk / 'ballast')
        assert recorder.wait() == 1
        assert 'recording ends: No space left on device' in recorder.output
        stack.processes['learner'].wait_for('not saved: [Errno 28] No space left on device')
        before = len(stored(stack.kept))
        until(lambda: 'not saved' in stack.status('learner')['message'], 20, 'word of it')
        stack.drives(30)
        assert len(stored(stack.kept)) == before  # the last save loads
        until(lambda: len(list(stack.kept.iterdir())) == 3, 5, 'nothing left of later ones')
        recorded = transitions(disk / 'bag')
        heard = {(t.episode, t.step): t for t in stack.heard()}
        assert len(recorded) > 10
        for t in recorded:
            np.testing.assert_array_equal(t.action, heard[t.episode, t.step].action)
        (disk / 'ballast').unlink()
        assert stack.assert_stored() == []
        stack.assert_safe()
        assert stack.processes['learner'].interrupt() == 0
        assert f'saved in {stack.kept}' in stack.processes['learner'].output
    finally:
        recorder.kill()
        stack.close()


def plug(name: str) -> None:
    """Bring a network namespace's end of the cable up."""
    ip(f'-n {name} link set cable up')
    ip(f'-n {name} route replace 224.0.0.0/4 dev cable')


@pytest.fixture
def network() -> Iterator[None]:
    """Two network namespaces and a cable between them."""
    with ExitStack() as stack:
        try:
            for name in (ROBOT, COMPUTER):
                ip(f'netns add {name}')
                stack.callback(ip, f'netns del {name}')
            ip(f'-n {ROBOT} link add cable type veth peer cable netns {COMPUTER}')
            for number, name in enumerate((ROBOT, COMPUTER), 1):
                ip(f'-n {name} addr add 10.77.0.{number}/24 dev cable')
                ip(f'-n {name} link set lo up')
                plug(name)
        except OSError as error:
            pytest.skip(f'no network namespaces: {error}')
        yield


def test_a_partition(ros_domain: int, network: None, tmp_path: Path) -> None:
    """The robot stands meanwhile; then it drives on, and its transitions come late but whole."""
    profile, start = write_profile(tmp_path)
    kept, bag = tmp_path / 'kept', tmp_path / 'bag'
    agent = {'profile': profile, 'checkpoint': start}
    record = [sys.executable, '-m', 'ros2_standalone', 'bag', 'record', '-o', str(bag)]
    learner = node_command('learner', checkpoint_dir=kept, save_period=0.3, **agent)
    commands = {
        'record': (ROBOT, [*record, '--topics', '/transition']),
        'bridge': (ROBOT, node_command('bridge', step_mode='realtime', transition_listeners=2)),
        'planner': (COMPUTER, node_command('planner', step_mode='realtime', **agent)),
        'learner': (COMPUTER, learner),
    }
    nodes: dict[str, Process] = {}
    try:
        for name, (place, command) in commands.items():
            nodes[name] = elsewhere(place, command, tmp_path / f'{name}.log')
        nodes['bridge'].wait_for('episode=1 ', 90)
        ip(f'-n {ROBOT} link set cable down')
        nodes['bridge'].wait_for('no command on /command for 0.5 s: safe command')
        nodes['planner'].wait_for('no usable state on /odom for 0.5 s: safe command')
        before = len(transitions(bag))
        time.sleep(OUTAGE)
        plug(ROBOT)
        episodes = len(nodes['bridge'].lines('episode='))
        until(lambda: len(nodes['bridge'].lines('episode=')) > episodes + 1, 30, 'two episodes')
        assert nodes['bridge'].interrupt() == 0
        assert nodes['record'].interrupt() == 0
        driven = transitions(bag)
        rows = as_stored(driven)
        until(lambda: stored(kept) == rows, 60, 'all transitions in a save, in their order')
        actions = np.array([t.action for t in driven])
        assert_within(actions)
        safe = (actions == CAR.safe_command).all(axis=1)
        longest = max((len(list(run)) for value, run in groupby(safe) if value), default=0)
        assert longest > 0.8 * OUTAGE / CAR.control_period
        assert not safe[-1] and before < len(driven) - longest
        for name in ('planner', 'learner'):
            assert nodes[name].interrupt() == 0
        assert 'missing' not in nodes['learner'].output
    finally:
        for process in nodes.values():
            process.kill()
