# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot gets between planner, human and episodes, and which transitions come of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rover import PERIOD, TASK, goal, joy, odometry, robot_file, scan

from loop_ros.robot.command import Sent
from loop_ros.robot.description import load
from loop_ros.robot.session import RUNNING, SCRIPT, SETTLING, WAITING, Session, Tick
from loop_ros.types import Transition

SAFE = [0.0, 0.0]


class World:
    """A robot that moves along x as it is told, in steps of a tenth of a period."""

    def __init__(self, folder: Path, shadow: bool = False, **changes: str) -> None:
        self.session = Session(load(robot_file(folder, **changes)), 0.25, shadow)
        self.now, self.x, self.shadow = 0.0, 0.0, shadow
        self.planner = np.array([0.4, 0.1])  # its answer to each state; NaN: none
        self.deaf = False  # odometry is lost
        self.given: list[list[float]] = []
        self.transitions: list[Transition] = []
        self.session.begin(0.0)
        self.session.assembler.put('goal', goal(3.0), 0.0)

    def tick(self, length: float = PERIOD) -> Tick:
        if not self.deaf:
            self.session.assembler.put('odom', odometry(self.x), self.now)
        self.session.assembler.put('scan', scan([4.0, 3.0, 2.0]), self.now)
        tick = self.session.tick(self.now)
        if tick.transition is not None:
            self.transitions.append(tick.transition)
        if tick.state is not None and np.isfinite(self.planner).all():
            self.session.plan(self.planner, self.now)
        for _ in range(0 if self.shadow else 10):
            action = self.session.command(self.now)
            self.given.append(action.tolist())
            self.x += float(action[0]) * length / 10
            self.now += length / 10
        self.now += length if self.shadow else 0.0
        return tick

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.tick()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_operator_begins_and_transitions_are_true(world: World) -> None:
    world.ticks(5)
    assert world.session.phase == WAITING and not world.transitions
    assert np.array_equal(world.given, [SAFE] * 50)
    assert world.session.start(world.now)
    assert not world.session.start(world.now)
    world.ticks(6)
    assert [(t.episode, t.step) for t in world.transitions] == [(0, step) for step in range(5)]
    for t in world.transitions:
        moved = t.next_observation[0] - t.observation[0]
        assert moved == pytest.approx(t.action[0] * PERIOD)
        assert t.reward == pytest.approx(moved)
        assert (t.cost, t.terminated, t.truncated) == (0.0, False, False)
    assert world.transitions[-1].action == pytest.approx([0.4, 0.1])


def test_an_episode_ends_at_its_length_and_settles_before_the_next(world: World) -> None:
    world.session.start(0.0)
    world.ticks(TASK.max_episode_steps + 1)
    assert world.transitions[-1].truncated and len(world.transitions) == 20
    assert world.session.phase == SETTLING
    assert np.array_equal(world.given[-10:], [SAFE] * 10)
    world.ticks(12)
    assert world.session.phase == WAITING
    world.session.start(world.now)
    world.ticks(2)
    assert (world.transitions[-1].episode, world.transitions[-1].step) == (1, 0)
    assert len(world.transitions) == 21


def test_a_goal_that_is_reached_terminates(world: World) -> None:
    world.session.assembler.put('goal', goal(0.25), 0.0)
    world.planner = np.array([1.0, 0.0])
    world.session.start(0.0)
    world.ticks(4)
    assert world.transitions[-1].terminated and not world.transitions[-1].truncated
    assert world.session.phase == SETTLING


def test_the_operator_ends_an_episode(world: World) -> None:
    world.session.start(0.0)
    world.ticks(3)
    world.session.end()
    tick = world.tick()
    assert world.transitions[-1].truncated and tick.state is None


def test_a_gap_makes_no_transition(world: World) -> None:
    world.session.start(0.0)
    world.ticks(4)
    count = len(world.transitions)
    world.deaf = True
    assert world.tick().state is not None  # the last one may still be planned from
    assert 'is 0.2 s old, at most 0.15 s' in world.tick().missing
    world.deaf = False
    world.ticks(4)
    assert [(t.episode, t.step) for t in world.transitions[count:]] == [(1, 0), (1, 1), (1, 2)]
    assert world.session.episodes.gaps == 1
    for t in world.transitions[1:]:
        assert t.next_observation[0] - t.observation[0] == pytest.approx(t.action[0] * PERIOD)


def test_gaps_do_not_put_off_the_end_of_an_episode(world: World) -> None:
    world.planner = np.zeros(2)  # it never arrives
    world.session.start(0.0)
    while world.session.phase == RUNNING:
        world.ticks(5)
        world.tick(2 * PERIOD)
        assert len(world.transitions) <= TASK.max_episode_steps
    assert world.session.phase == SETTLING
    assert world.session.episodes.gaps > 1


@pytest.mark.parametrize('length', [0.5 * PERIOD, 1.6 * PERIOD])
def test_a_period_that_was_too_short_or_long_makes_none(world: World, length: float) -> None:
    world.session.start(0.0)
    world.ticks(3)
    count = len(world.transitions)
    world.tick(length)
    assert len(world.transitions) == count + 1  # the one before was whole
    world.tick()
    assert len(world.transitions) == count + 1
    assert world.session.episodes.gaps == 1


def test_without_a_planner_the_robot_is_safe(world: World) -> None:
    world.session.start(0.0)
    world.ticks(3)
    world.planner = np.full(2, np.nan)
    world.ticks(4)
    assert world.given[-1] == SAFE and world.session.is_silent(world.now)
    assert world.transitions[-1].action == pytest.approx(SAFE)


def test_or_holds_where_the_file_says_so(tmp_path: Path) -> None:
    command = (
        '{topic: c, type: a/msg/B, on_silence: hold, fields: {speed: {field: x}, turn: {field: y}}}'
    )
    world = World(tmp_path, command=command)
    world.session.start(0.0)
    world.ticks(3)
    world.planner = np.full(2, np.nan)
    world.ticks(6)
    assert world.given[-1] == [0.4, 0.1]


def test_commands_may_go_straight_to_the_next(tmp_path: Path) -> None:
    command = (
        '{topic: c, type: a/msg/B, rate: 100, between: interpolate, '
        'fields: {speed: {field: x}, turn: {field: y}}}'
    )
    world = World(tmp_path, command=command)
    world.session.start(0.0)
    world.ticks(1)
    speeds = np.array(world.given)[:, 0]
    assert speeds == pytest.approx(0.4 * np.arange(10) / 10)
    world.ticks(1)
    assert world.transitions[0].action[0] == pytest.approx(speeds.mean(), abs=0.03)


class TestTakeover:
    def test_a_human_wins_at_once_is_learned_from_and_gives_back_smoothly(
        self, world: World
    ) -> None:
        world.session.start(0.0)
        world.ticks(4)
        for _ in range(4):
            assert world.session.human(joy(speed=-0.1, turn=0.8), world.now)
            assert world.session.command(world.now).tolist() == [-0.2, 0.4]
            world.tick()
        assert world.session.has_human(world.now)
        assert world.transitions[-1].action == pytest.approx([-0.2, 0.4])
        moved = world.transitions[-1].next_observation[0] - world.transitions[-1].observation[0]
        assert moved == pytest.approx(-0.2 * PERIOD)
        assert not world.session.human(joy(held=False), world.now)
        count = len(world.given)
        world.ticks(8)
        speeds = np.array(world.given[count:])[:, 0]
        assert (np.abs(np.diff(speeds)) <= 0.6 / 0.5 * PERIOD / 10 + 1e-9).all()
        assert speeds[0] < 0.0 and speeds[-1] == 0.4

    def test_between_episodes_too(self, world: World) -> None:
        world.ticks(2)
        world.session.human(joy(speed=0.5), world.now)
        assert world.session.command(world.now).tolist() == [1.0, 0.0]
        assert world.session.phase == WAITING

    def test_a_joystick_that_is_lost_stops_the_robot(self, world: World) -> None:
        world.session.start(0.0)
        world.ticks(3)
        world.session.human(joy(speed=0.4), world.now)
        world.ticks(5)
        assert world.given[-1] == SAFE and world.session.has_human(world.now)
        assert world.session.takeover is not None and world.session.takeover.lost(world.now)
        world.session.human(joy(held=False), world.now)
        world.ticks(8)
        assert world.given[-1] == [0.4, 0.1]

    def test_a_topic_of_its_own_is_its_own_deadman(self, tmp_path: Path) -> None:
        takeover = (
            '{topic: t, type: a/msg/B, timeout: 0.25, blend: 0, '
            'fields: {speed: {field: "axes[1]"}, turn: {field: "axes[3]"}}}'
        )
        world = World(tmp_path, takeover=takeover)
        world.session.start(0.0)
        world.session.human(joy(speed=-0.3), world.now)
        world.ticks(2)
        assert world.given[-1] == [-0.3, 0.0]
        world.ticks(2)
        assert world.given[-1] == [0.4, 0.1]

    def test_its_commands_keep_the_limits(self, world: World) -> None:
        world.session.human(joy(speed=9.0, turn=-9.0), world.now)
        assert world.session.command(world.now).tolist() == [1.0, -2.0]


def test_a_script_brings_the_robot_back(tmp_path: Path) -> None:
    script = '{start: script, settle: 0.2, script: [{command: [-0.5, 0.0], duration: 0.5}]}'
    world = World(tmp_path, episode=script)
    assert world.session.phase == SCRIPT
    world.ticks(8)
    assert world.session.phase == RUNNING
    given = np.array(world.given)
    assert (given[:, 0] == -0.5).sum() == pytest.approx(50, abs=2)
    assert not any(t.action[0] == -0.5 for t in world.transitions)


def test_a_service_that_fails_waits_for_an_operator(tmp_path: Path) -> None:
    world = World(tmp_path, episode='{start: service, service: /reset}')
    world.session.called(False, 0.0)
    assert world.session.phase == WAITING
    other = World(tmp_path, episode='{start: service, service: /reset}')
    other.session.called(True, 0.0)
    assert other.session.phase == RUNNING


def test_a_shadow_learns_from_the_other_and_never_waits(tmp_path: Path) -> None:
    world = World(tmp_path, shadow=True)
    world.planner = np.full(2, np.nan)
    for _ in range(30):
        world.session.drive(np.array([0.3, -0.1]), world.now)
        world.tick()
    assert len(world.transitions) >= 25
    assert world.transitions[5].action == pytest.approx([0.3, -0.1])


@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(-1.0, 1.0)), min_size=1, max_size=20))
def test_executed_is_the_mean_by_time(changes: list[tuple[float, float]]) -> None:
    sent, now, total = Sent(np.zeros(1), 5.0), 5.0, 0.0
    value = 0.0
    for length, following in changes:
        now, total, value = now + length, total + length * value, following
        sent.change(np.array([following]), now)
    now, total = now + 0.5, total + 0.5 * value
    assert sent.period(now) == pytest.approx([total / (now - 5.0)], abs=1e-9)
    assert sent.period(now + 1.0) == pytest.approx([value])
