# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""No transition is ever made up, whatever goes wrong in whatever order."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rover import PERIOD, goal, joy, odometry, robot_file, scan

from loop_ros.robot.description import load
from loop_ros.robot.session import Session
from loop_ros.types import Transition

STEP = PERIOD / 10
EVENTS = ('drive', 'quiet', 'frame', 'nan', 'late', 'hand', 'lost', 'end', 'carried')


class World:
    """A robot on the x axis that hears of itself ten times a period; keeps what was sent where."""

    def __init__(self, path: Path) -> None:
        self.session = Session(load(path), command_timeout=0.25)
        self.now, self.x, self.event = 0.0, 0.0, 'drive'
        self.sent: list[tuple[float, float, np.ndarray]] = []  # s, x, [A] in each STEP
        self.found: list[Transition] = []
        self.session.begin(0.0)
        self.session.assembler.put('goal', goal(30.0), 0.0)

    def period(self, heard: int = 20) -> None:
        """One of them, of which the first `heard` steps are heard of."""
        for step in range(14 if self.event == 'late' else 10):
            if step < heard:
                self._hear()
            action = self.session.command(self.now)
            self.sent.append((self.now, self.x, action))
            self.x += float(action[0]) * STEP
            self.now += STEP
        tick = self.session.tick(self.now)
        if tick.transition is not None:
            self.found.append(tick.transition)
        if tick.state is not None and self.event != 'quiet':
            self.session.plan(np.array([0.4, math.sin(self.now)]), self.now)

    def _hear(self) -> None:
        put = self.session.assembler.put
        put('scan', scan([4.0, 3.0, 2.0]), self.now)
        x = math.nan if self.event == 'nan' else self.x
        put('odom', odometry(x, frame='map' if self.event == 'frame' else 'odom'), self.now)
        if self.event != 'lost':
            self.session.human(joy(-0.1, 0.5, held=self.event == 'hand'), self.now)

    def assert_true(self) -> None:
        """Each is the newest state of a tick, what was sent until the next one, and its state."""
        last: Transition | None = None
        for found in self.found:
            begun, ended = found.stamp, found.stamp + PERIOD
            sent = [s for s in self.sent if begun - 1e-6 < s[0] < ended - 1e-6]
            assert len(sent) == 10
            np.testing.assert_allclose(found.action, np.mean([s[2] for s in sent], axis=0))
            before = max(s[:2] for s in self.sent if s[0] < begun - 1e-6)[1]
            assert found.observation[0] == before and found.next_observation[0] == sent[-1][1]
            if last is not None and last.episode == found.episode:
                assert found.step == last.step + 1 and not (last.terminated or last.truncated)
                np.testing.assert_array_equal(found.observation, last.next_observation)
            elif last is not None:
                assert found.step == 0 and found.episode > last.episode
            last = found


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 6)), min_size=1, max_size=12))
def test_every_transition_is_true(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int]]
) -> None:
    path = robot_file(tmp_path_factory.getbasetemp(), episode='{start: auto, settle: 0.2}')
    world = World(path)
    for event, count in [('drive', 3), *events, ('drive', 15)]:
        world.event = event
        if event == 'end':
            world.session.end()
        if event == 'carried':  # by a hand, as far as the goal
            world.x += 0.5
        for _ in range(count):
            world.period()
    world.assert_true()
    assert world.found and world.found[-1].stamp > world.now - 10 * PERIOD  # it goes on


@pytest.mark.parametrize('heard', [0, 2])
def test_a_silence_that_ends_within_max_age(tmp_path: Path, heard: int) -> None:
    """Of a period nothing is heard, or its beginning only; the robot drives on all the time."""
    world = World(robot_file(tmp_path, episode='{start: auto, settle: 0.2}'))
    for steps in (10, 10, 10, heard, 10, 10):
        world.period(steps)
    world.assert_true()


def test_a_shadow_does_not_know_what_it_has_not_heard(tmp_path: Path) -> None:
    session = Session(load(robot_file(tmp_path)), 0.25, shadow=True)
    session.begin(0.0)
    session.assembler.put('goal', goal(30.0), 0.0)
    for step in range(5):
        now = (step + 1) * PERIOD
        session.assembler.put('odom', odometry(0.05 * step), now)  # somebody drives
        session.assembler.put('scan', scan([4.0, 3.0, 2.0]), now)
        assert session.tick(now).transition is None
