# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet on two hosts, with a network that is slow, loses some and is cut (docs/fleet.md)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cable import Cable
from faults import CAR, as_stored, stored, write_profile
from source_tree import TREE
from stack import Process, elsewhere, node_command, until

from loop_ros.bags.reader import BagReader

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CUT = 10.0  # s
DELAY, LOSS = 0.02, 0.01  # s, share of frames
FAR, NEAR = f'far{os.getpid()}', f'near{os.getpid()}'


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable((FAR, NEAR), DELAY, LOSS)
    try:
        cable.__enter__()
    except OSError as error:
        pytest.skip(f'no network of its own: {error}')
    yield cable
    cable.__exit__()


def test_a_robot_on_another_host_is_cut_off(
    ros_domain: int, cable: Cable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drives on, the other one and the learner too; later all that it did is there, and once."""
    monkeypatch.setenv(
        'FASTRTPS_DEFAULT_PROFILES_FILE', str(TREE / 'config/network/fastdds_long_cuts.xml')
    )
    profile, start = write_profile(tmp_path)
    kept = tmp_path / 'kept'
    agent = {'profile': profile, 'checkpoint': start}
    places = {'robot_1': FAR, 'robot_2': NEAR}
    commands = {
        'learner': (
            NEAR,
            node_command(
                'learner', sources='robot_1..2', checkpoint_dir=kept, save_period=0.5, **agent
            ),
        )
    }
    record = [sys.executable, '-m', 'ros2_standalone', 'bag', 'record']
    for seed, (robot, place) in enumerate(places.items()):
        namespace = ('-r', f'__ns:=/{robot}', '-r', 'weights:=/weights')
        commands[f'{robot} planner'] = (
            place,
            node_command(
                'planner', *namespace, step_mode='realtime', weights_from='/learner', **agent
            ),
        )
        commands[f'{robot} bridge'] = (
            place,
            node_command(
                'bridge', *namespace, step_mode='realtime', transition_listeners=2, seed=1000 * seed
            ),
        )
        bag = ['-o', str(tmp_path / robot), '--topics', f'/{robot}/transition']
        commands[f'{robot} bag'] = place, [*record, *bag]
    nodes: dict[str, Process] = {}
    try:
        for name, (place, command) in commands.items():
            nodes[name] = elsewhere(place, command, tmp_path / f'{name}.log')
        for robot in places:
            nodes[f'{robot} bridge'].wait_for('episode=0 ', 90)
        cable.is_cut = True
        before = {robot: steps(tmp_path / robot) for robot in places}
        learned = len(stored(kept))
        time.sleep(CUT)
        cable.is_cut = False
        for robot in places:
            assert steps(tmp_path / robot) > before[robot] + 0.5 * CUT / CAR.control_period
        assert len(stored(kept)) > learned  # of the near one
        in_cut = steps(tmp_path / 'robot_1')
        until(lambda: of_far(kept, tmp_path) > in_cut, 60, 'the far robot is heard again')
        for robot in places:
            assert nodes[f'{robot} bridge'].interrupt() == 0
            assert nodes[f'{robot} bag'].interrupt() == 0
        driven = [as_stored(list(BagReader([tmp_path / robot], CAR))) for robot in places]
        until(
            lambda: sorted(stored(kept)) == sorted(sum(driven, [])), 120, 'each step once in a save'
        )
        for rows in driven:  # each robot's in its order
            known = set(rows)
            assert [row for row in stored(kept) if row in known] == rows
        assert cable.lost > 0
        assert nodes['learner'].interrupt() == 0
        assert 'missing' not in nodes['learner'].output
    finally:
        for process in nodes.values():
            process.kill()


def of_far(kept: Path, bags: Path) -> int:
    """Steps of the robot that is cut off in the learner's last save."""
    return len(set(stored(kept)) & set(as_stored(list(BagReader([bags / 'robot_1'], CAR)))))


def steps(bag: Path) -> int:
    return len(list(BagReader([bag], CAR)))
