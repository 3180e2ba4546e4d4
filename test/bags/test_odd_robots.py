# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""States and commands as other robots publish them: taken where that is safe, else named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_files import (
    ARRAY,
    JOINTS,
    ODOMETRY,
    SECOND,
    STORE,
    TASK,
    Message,
    command,
    drive,
    joints,
    odometry,
    transition_messages,
    write_bag,
)

from loop_ros.bags.reader import BagReader
from loop_ros.types import Array, Transition

PERIOD = TASK.control_period
LABELS = TASK.action_labels


def state(time: float) -> Array:
    """Numbers that tell the time (s)."""
    return np.array([time, -time, 0.1 * time, 1.0, 0.1, 0.1])


Change = Callable[[Any], None]


def changed(data: bytes, change: Change) -> bytes:
    message = STORE.deserialize_cdr(data, ODOMETRY)
    change(message)
    return bytes(STORE.serialize_cdr(message, ODOMETRY))


def states(
    rate: float, duration: float = 4.0, stamp: int | None = None, change: Change | None = None
) -> list[Message]:
    """`stamp` (ns): the one that all have."""
    found: list[Message] = []
    for number in range(round(rate * duration)):
        time = SECOND + round(number / rate * SECOND)
        data = odometry(state(number / rate), time if stamp is None else stamp)
        found.append(('/odom', ODOMETRY, time, data if change is None else changed(data, change)))
    return found


def commands(duration: float = 4.0) -> list[Message]:
    """At 100 Hz, between the states."""
    times = [SECOND + 1_000_000 + 10_000_000 * n for n in range(round(100 * duration))]
    action = np.array([2.0, 0.1])
    return [('/command', JOINTS, time, command(action, time)) for time in times]


def read(folder: Path, messages: list[Message]) -> tuple[list[Transition], BagReader]:
    bag = write_bag(folder / 'bag', sorted(messages, key=lambda message: message[2]))
    reader = BagReader([bag], TASK)
    return list(reader), reader


def refused(folder: Path, messages: list[Message]) -> str:
    with pytest.raises(ValueError) as caught:
        read(folder, messages)
    return str(caught.value)


@pytest.mark.parametrize('rate', [10, 20, 25])
def test_states_that_are_too_rare(tmp_path: Path, rate: int) -> None:
    said = refused(tmp_path, [*states(rate), *commands()])
    assert f"'/odom' at {rate} Hz, task 'drift_car' is controlled at 28.6 Hz" in said
    assert f'control_period of {1 / rate:.3g} s' in said


@pytest.mark.parametrize('rate', [28, 40, 50, 60, 90, 200, 1000])
def test_faster_states_are_sampled_at_the_control_rate(tmp_path: Path, rate: int) -> None:
    """Not one step of 35 ms is taken for one of 40 ms, but for what rounding to a state is."""
    found, reader = read(tmp_path, [*states(rate), *commands()])
    steps = np.array([t.next_observation[0] - t.observation[0] for t in found])
    control = PERIOD if rate > 28 else 1 / rate
    assert len(found) == pytest.approx(4.0 / control, abs=2)
    assert steps.mean() == pytest.approx(control, rel=0.01)
    assert np.abs(steps - control).max() <= 1 / rate
    assert reader.summary.episodes == 1
    assert not reader.summary.dropped


@pytest.mark.parametrize('stamp', [0, 77 * SECOND])
def test_stamps_that_stand_still(tmp_path: Path, stamp: int) -> None:
    found, reader = read(tmp_path, [*states(1 / PERIOD, stamp=stamp), *commands()])
    assert len(found) == 113  # of 114 states
    assert [t.stamp for t in found] == pytest.approx([1 + n * PERIOD for n in range(113)])
    assert not reader.summary.dropped
    (note,) = reader.summary.notes[:1]
    assert note.startswith(f"stamps of '/odom' stand still at {stamp // SECOND} s")
    assert 'stand still' not in ''.join(reader.summary.notes[1:])


def set_frame(frame: str, child: str) -> Change:
    def change(message: Any) -> None:
        message.header.frame_id, message.child_frame_id = frame, child

    return change


@pytest.mark.parametrize(('frame', 'child'), [('odom', 'odom'), ('a/x', 'a/x'), ('', 'map')])
def test_a_twist_in_the_world(tmp_path: Path, frame: str, child: str) -> None:
    messages = states(30, change=set_frame(frame, child))
    said = refused(tmp_path, [*messages, *commands()])
    assert f"'/odom': child_frame_id is '{child}', a twist in the world" in said
    assert "expected the robot's own frame, as 'base_link'" in said


@pytest.mark.parametrize(('frame', 'child'), [('odom', 'base_footprint'), ('map', ''), ('', '')])
def test_a_twist_of_the_robot(tmp_path: Path, frame: str, child: str) -> None:
    messages = states(1 / PERIOD, change=set_frame(frame, child))
    assert len(read(tmp_path, [*messages, *commands()])[0]) == 113


def test_quaternions_of_two_decimals(tmp_path: Path) -> None:
    def change(message: Any) -> None:
        turn = message.pose.pose.orientation
        turn.z, turn.w = 0.71, 0.71

    found, reader = read(tmp_path, [*states(1 / PERIOD, change=change), *commands()])
    assert len(found) == 113
    assert found[7].observation[2] == pytest.approx(np.pi / 2)
    assert not reader.summary.dropped


def test_quaternions_of_zeros(tmp_path: Path) -> None:
    def change(message: Any) -> None:
        message.pose.pose.orientation.z = message.pose.pose.orientation.w = 0.0

    said = refused(tmp_path, [*states(30, change=change), *commands()])
    assert "orientation that is none: '/odom': a quaternion of norm 0, expected 1" in said


STRANGE = {
    'missing': (LABELS[:1], {'velocity': [2.0]}, "names are ['wheel_speed'], expected"),
    'more': (
        (*LABELS, 'arm'),
        {'velocity': [2.0] * 3, 'position': [0.1] * 3},
        "names are ['wheel_speed', 'steering', 'arm'], expected",
    ),
    'no velocity': (LABELS, {'position': [0.0, 0.1]}, '0 values of velocity, expected one for'),
}


@pytest.mark.parametrize('what', STRANGE)
def test_commands_that_are_not_the_tasks(tmp_path: Path, what: str) -> None:
    names, values, wanted = STRANGE[what]
    messages = [(*m[:3], joints(names, m[2], **values)) for m in commands()]
    said = refused(tmp_path, [*states(30), *messages])
    assert f"not as the task has it: '/command': {wanted}" in said
    assert str(list(LABELS)) in said


def test_a_few_strange_commands_are_counted_and_named(tmp_path: Path) -> None:
    strange = joints(['arm'], SECOND, position=[0.1])
    messages = [*commands(), *(('/command', JOINTS, SECOND + n, strange) for n in range(3))]
    found, reader = read(tmp_path, [*states(1 / PERIOD), *messages])
    assert len(found) == 113
    assert reader.summary.dropped == {'not as the task has it': 3}
    assert "'/command': names are ['arm'], expected" in reader.summary.describe()


def test_a_command_of_another_type(tmp_path: Path) -> None:
    messages = [(m[0], ARRAY, *transition_messages(drive(1, 1))[0][2:]) for m in commands()]
    said = refused(tmp_path, [*states(30), *messages])
    assert f"'/command' is {ARRAY}, expected {JOINTS}" in said
    assert 'robot file (--robot)' in said


def test_states_that_lead_nowhere_are_counted(tmp_path: Path) -> None:
    messages = states(1 / PERIOD)
    del messages[50:60]
    found, reader = read(tmp_path, [*messages, *commands()])
    assert len(found) == 113 - 11
    assert reader.summary.dropped == {'state without a next one': 1}
    assert reader.summary.closed['steps are missing'] == 1


def test_actions_beyond_the_limits_are_clipped_and_counted(tmp_path: Path) -> None:
    wanted = drive(1, 5)
    wanted[1].action[0] = TASK.action_high[0] + 3.0
    wanted[3].action[:] = np.array(TASK.action_low) - 1.0
    wanted[4].action[0] = TASK.action_high[0] + 1e-9  # of rounding
    found, reader = read(tmp_path, transition_messages(wanted))
    assert [t.step for t in found] == list(range(5))
    assert found[1].action.tolist() == [TASK.action_high[0], wanted[1].action[1]]
    assert found[3].action.tolist() == list(TASK.action_low)
    assert reader.summary.clipped == 2
    assert '2 actions beyond the limits of the task: clipped' in reader.summary.describe()


def test_commands_beyond_the_limits_are_clipped_and_counted(tmp_path: Path) -> None:
    fast = [(*m[:3], command(np.array([99.0, 0.1]), m[2])) for m in commands()[:7]]
    found, reader = read(tmp_path, [*states(1 / PERIOD), *fast, *commands()[7:]])
    assert reader.summary.clipped == 7
    assert {t.action[0] for t in found} == {TASK.action_high[0], 2.0}


def test_a_command_that_is_not_finite(tmp_path: Path) -> None:
    odd = [(*m[:3], command(np.array([np.inf, 0.1]), m[2])) for m in commands()[:7]]
    found, reader = read(tmp_path, [*states(1 / PERIOD), *odd, *commands()[7:]])
    assert reader.summary.dropped['not finite'] == 7
    assert {t.action[0] for t in found} == {2.0}
