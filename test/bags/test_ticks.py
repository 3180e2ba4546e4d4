# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags with topics of their own become what the robot node would have published, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_files import (
    ARRAY,
    ODOMETRY,
    SECOND,
    TASK,
    Message,
    cdr,
    drive,
    labelled,
    transition_messages,
    write_bag,
)
from source_tree import TREE
from vehicle import PERIOD, START, commands, robot, state, states

from loop_ros.bags.reader import BagReader
from loop_ros.robot import description
from loop_ros.types import Transition


def read(
    folder: Path, messages: list[Message], **changes: Any
) -> tuple[list[Transition], BagReader]:
    bag = write_bag(folder / 'bag', sorted(messages, key=lambda message: message[2]))
    reader = BagReader([bag], TASK, robot=robot(folder, **changes))
    return list(reader), reader


@pytest.mark.parametrize('rate', [28.6, 50.0, 400.0])
def test_states_are_the_newest_at_each_control_period(tmp_path: Path, rate: float) -> None:
    found, _ = read(tmp_path, [*states(rate, 3.0), *commands((0.0, 2.0), (3.0, 2.0))])
    assert len(found) >= (82 if rate > 30 else 60)
    for transition in found:
        now = transition.stamp - START / SECOND
        assert now - 1.001 / rate <= transition.observation[0] <= now + 1e-6
        assert transition.observation == pytest.approx(state(transition.observation[0]))
        late = transition.next_observation[0] - now - PERIOD
        assert -1.001 / rate <= late <= 1e-6
        assert transition.action == pytest.approx([2.0, 0.1])
        wanted = -abs(np.hypot(*transition.next_observation[:2]) - 1.0)
        assert transition.reward < wanted  # slower than the target velocity as well


def test_the_action_is_the_mean_of_what_was_sent_by_time(tmp_path: Path) -> None:
    sent = [(0.0, 1.0), (0.5, 3.0), (0.51, 5.0), (0.8, 4.0)]
    found, _ = read(tmp_path, [*states(100, 1.0), *commands(*sent)])
    whole = 0.0
    for transition in found:
        whole += transition.action[0] * PERIOD
    times = [time for time, _ in sent]
    first, last = (found[i].stamp - START / SECOND for i in (0, -1))
    fine = np.linspace(first, last + PERIOD, 200_001)[:-1]
    speeds = np.array([speed for _, speed in sent])
    mean = speeds[np.searchsorted(times, fine, side='right') - 1].mean()
    assert whole == pytest.approx(mean * (last + PERIOD - first), rel=1e-4)


def test_nothing_is_made_up_across_a_gap(tmp_path: Path) -> None:
    messages = [*states(100, 6.0, gap=(2.0, 3.2)), *commands((0.0, 1.0), (5.9, 1.0))]
    found, reader = read(tmp_path, messages)
    for transition in found:
        assert transition.next_observation[0] - transition.observation[0] < 1.5 * PERIOD
    last = max(t.observation[0] for t in found if t.episode == 0)
    assert found[0].episode == 0
    assert last < 2.0
    assert min(t.observation[0] for t in found if t.episode == 1) >= 3.19
    assert [t.truncated for t in found].count(True) == found[-1].episode + 1
    assert 'no observation in a control period' in reader.summary.describe()


def test_without_an_age_limit_a_gap_is_no_standing_still(tmp_path: Path) -> None:
    messages = [*states(100, 4.0, gap=(1.0, 2.0)), *commands((0.0, 1.0), (4.0, 1.0))]
    found, _ = read(tmp_path, messages, max_age='.inf')
    steps = [t.next_observation[0] - t.observation[0] for t in found]
    assert 0 < min(steps) <= max(steps) < 1.5 * PERIOD


def test_what_was_not_commanded_is_left_out(tmp_path: Path) -> None:
    found, reader = read(tmp_path, [*states(100, 2.0), *commands((1.0, 1.0))])
    assert min(t.stamp for t in found) >= START / SECOND + 1.0
    assert 'state without a command' in reader.summary.describe()
    assert {tuple(t.action) for t in found} == {(1.0, 0.1)}


def test_a_robot_that_stops_by_itself(tmp_path: Path) -> None:
    """One second after its last command."""
    messages = [*states(100, 4.0), *commands((0.0, 2.0), (0.2, 2.0), (1.21, 2.0))]
    found, _ = read(tmp_path, messages, on_silence='safe')
    speeds = {t.stamp - START / SECOND: t.action[0] for t in found}
    assert {speed for time, speed in speeds.items() if time < 1.15} == {2.0}
    assert {speed for time, speed in speeds.items() if time > 2.22} == {0.0}
    short = [speed for time, speed in speeds.items() if 1.15 < time < 1.22]
    missed = sum(2.0 - speed for speed in short) * PERIOD
    assert missed == pytest.approx(2.0 * 0.01, rel=1e-3)  # 10 ms between 1.2 and 1.21 s


def test_a_bag_that_is_too_slow_is_refused(tmp_path: Path) -> None:
    messages = [*states(10, 8.0), *commands((0.0, 1.0))]
    with pytest.raises(ValueError, match=r"'/vehicle/odometry' at 10 Hz, .* at 28.6 Hz"):
        read(tmp_path, messages, max_age=0.5)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'child_frame': 'odom'}, r"child_frame is 'base_link', not 'odom'"),
        ({'command': '/cmd'}, r"robot.yaml:16: the bag has no '/cmd'"),
        ({'command': '/vehicle/odometry'}, r"robot.yaml:16: '/vehicle/odometry' is nav_msgs"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: dict[str, str], words: str) -> None:
    """A twist in the world's frame among it."""
    with pytest.raises(ValueError, match=words):
        read(tmp_path, [*states(100, 2.0), *commands((0.0, 1.0))], **change)


def test_commands_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    short = ('/commands', ARRAY, START, cdr(labelled(np.array([0.1]), []), ARRAY))
    with pytest.raises(ValueError, match=r'no action in a command, 1 times: .*data\[1\]'):
        read(tmp_path, [*states(100, 2.0), short])


def test_episodes_are_no_longer_than_the_tasks(tmp_path: Path) -> None:
    found, _ = read(tmp_path, [*states(100, 10.0), *commands((0.0, 1.0), (10.0, 1.0))])
    lengths = np.bincount([t.episode for t in found])
    assert lengths[:2].tolist() == [TASK.max_episode_steps] * 2
    assert [t.step for t in found[:3]] == [0, 1, 2]


def test_messages_out_of_order_and_broken_ones(tmp_path: Path) -> None:
    """Recorders write topics in turns, up to a second late."""
    messages = [*states(100, 3.0), ('/vehicle/odometry', ODOMETRY, START + SECOND, b'\\0\\1')]
    messages = sorted(messages, key=lambda message: message[2])
    late = [*messages[:150], *commands((0.0, 2.0), (1.0, 3.0)), *messages[150:]]
    bag = write_bag(tmp_path / 'bag', late)
    found = list(BagReader([bag], TASK, robot=robot(tmp_path)))
    speeds = {t.action[0] for t in found if t.stamp < START / SECOND + 0.95}
    assert speeds == {2.0}
    assert {t.action[0] for t in found if t.stamp > START / SECOND + 1.0} == {3.0}


def test_a_clock_that_is_set_back_begins_again(tmp_path: Path) -> None:
    one = [*states(100, 3.0), *commands((0.0, 1.0), (3.0, 1.0))]
    again = [(topic, kind, time - 500 * SECOND, data) for topic, kind, time, data in one]
    messages = [*sorted(one, key=lambda m: m[2]), *sorted(again, key=lambda m: m[2])]
    bag = write_bag(tmp_path / 'bag', messages, sqlite=True)
    found = list(BagReader([bag], TASK, robot=robot(tmp_path)))
    before = [t for t in found if t.stamp > 900]
    assert len(before) > 80
    assert len(found) > 150
    for transition in found:
        assert 0.5 * PERIOD < transition.next_observation[0] - transition.observation[0] < 0.06


def test_recorded_transitions_are_read_as_they_are(tmp_path: Path) -> None:
    """A robot node's own bag holds both."""
    wanted = drive()
    messages = [*transition_messages(wanted), *states(100, 2.0), *commands((0.0, 1.0))]
    found, _ = read(tmp_path, messages)
    assert len(found) == len(wanted)
    again = BagReader([tmp_path / 'bag'], TASK, rebuild=True, robot=robot(tmp_path))
    assert len(list(again)) > 50


BAGS = TREE.parent / 'shared/data/bags'
needs_recordings = pytest.mark.skipif(not BAGS.is_dir(), reason='needs shared/data')


@needs_recordings
def test_a_recorded_turtle() -> None:
    """It was put elsewhere twice while nobody recorded; a false step would be a jump."""
    turtle = description.load(TREE / 'test/data/turtle.yaml')
    reader = BagReader([BAGS / 'turtlesim'], turtle.task, robot=turtle)
    found = list(reader)
    assert len(found) == 390
    for t in found:
        moved = np.hypot(*(t.next_observation[:2] - t.observation[:2]))
        assert moved < 2.0 * (turtle.task.control_period + 0.034)
    moving = [t for t in found if t.action[0] == 2.0]
    assert len(moving) > 100
    speeds = [t.next_observation[3] for t in moving]
    assert np.mean(np.isclose(speeds, 2.0)) > 0.95


@needs_recordings
def test_recorded_flights() -> None:
    flyer = description.load(TREE / 'test/data/crazyflie.yaml')
    reader = BagReader([BAGS / 'crazyflie'], flyer.task, robot=flyer)
    found = list(reader)
    assert len(found) == 909
    assert reader.summary.bags == 2
    heights = [t.observation[0] for t in found]
    assert 0.06 < min(heights) < max(heights) < 0.11  # on a rig, as the file says
    assert min(t.action[2] for t in found) < -200
