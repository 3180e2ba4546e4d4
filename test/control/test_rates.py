# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The drift car under odometry of any rate, with any stamps: gate and planner in closed loop.

Time is simulated, so that a plan is there at once: what is judged is which states are planned from.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.control import gate as gate_module
from loop_ros.control.gate import Gate, State
from loop_ros.control.supervisor import PLAN, SHIFTED, Command, Limits, Supervisor
from loop_ros.sim import bicycle, drift_car, registry

pytestmark = pytest.mark.slow
CAR = registry.task('drift_car')
PERIOD = CAR.control_period
SECONDS = 3.5
STARTS = 2


class Clock:
    """The steady clock."""

    now = 0.0  # s

    def monotonic(self) -> float:
        return self.now


def stamp(kind: str, now: float) -> float:
    """What the robot's odometry says of its time `now` (s)."""
    if kind == 'zero':
        return 0.0
    return now + 50.0 + (10.0 * (int(now) % 2) if kind == 'jumps' else 0.0)  # back and forth


class Drive:
    """A car that holds the last command, odometry at a rate, the gate and the planner."""

    def __init__(self, clock: Clock, agent: Agent, rate: float, kind: str, seed: int) -> None:
        self.clock, self.agent, self.levels = clock, agent, []
        self.rate, self.kind, self.rng = rate, kind, np.random.default_rng(seed)
        self.tick = 0.001 if rate == 1000 or kind == 'jitter' else 0.0025  # s, of the simulation
        limits = Limits(
            round(PERIOD * 1e9), PERIOD, *(np.array(a) for a in (
                CAR.action_low, CAR.action_high, CAR.safe_command)), np.zeros(2)
        )  # fmt: skip
        self.gate = Gate(Supervisor(limits, realtime=True), self.send)
        self.gate.open()
        env = registry.make('drift_car')
        self.state, _ = env.reset(seed=seed)
        self.car = bicycle.CarParameters()
        self.action, self.planned = np.zeros(2), 0

    def send(self, state: State, command: Command) -> None:
        self.action = command.action
        self.levels.append(command.level)

    def odometry(self, stamped: float, observation: np.ndarray) -> None:
        nanoseconds = round(stamped * 1e9)
        if not self.gate.awaits(nanoseconds):
            return
        state = self.gate.receive(nanoseconds, observation)
        if state is not None:
            if state.restart:
                self.agent.reset()
            else:
                self.agent.planner.skip(max(0, state.number - self.planned - 1))
            self.planned = state.number
            self.gate.answer(state, self.agent.act(observation, predict_next=True))

    def run(self) -> float:
        """The return a control period, over the drive."""
        self.clock.now = 0.0
        rewards, next_odometry, heard = [], 0.0, 0
        for tick in range(round(SECONDS / self.tick)):
            now = self.clock.now = tick * self.tick
            if now > next_odometry - self.tick / 2:
                jitter = self.rng.uniform(-0.4, 0.4) if self.kind == 'jitter' else 0.0
                next_odometry, heard = next_odometry + (1 + jitter) / self.rate, heard + 1
                # Five come in a burst, of which a queue of one keeps the newest.
                if self.kind != 'burst' or heard % 5 == 0:
                    self.odometry(stamp(self.kind, now), self.state.copy())
            if tick % round(PERIOD / 2 / self.tick) == 0:
                self.gate.watch(round(now * 1e9))
            self.state = bicycle.step(self.state, self.action, self.tick, self.car)
            if tick % round(PERIOD / self.tick) == 0:
                rewards.append(float(drift_car.reward(self.state)))
        return float(np.mean(rewards)) * 100


@pytest.fixture(scope='module')
def agent() -> Agent:
    folder = checkpoint.resolve('shipped', 'drift_car')
    assert folder is not None
    return Agent.load(folder, CAR, resume=False)


def drive(
    monkeypatch: pytest.MonkeyPatch, agent: Agent, rate: float, kind: str
) -> tuple[np.ndarray, list[Drive]]:
    """Returns of some starts, and the drives."""
    clock = Clock()
    monkeypatch.setattr(gate_module, 'time', clock)
    drives = [Drive(clock, agent, rate, kind, seed) for seed in range(STARTS)]
    return np.array([each.run() for each in drives]), drives


@pytest.fixture(scope='module')
def at_the_control_rate(agent: Agent) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        returns, drives = drive(patch, agent, 1 / PERIOD, 'stamped')
    assert all(level == PLAN for found in drives for level in found.levels)
    return returns


@pytest.mark.parametrize(
    ('rate', 'kind'),
    [
        *((50, 'stamped'), (100, 'stamped'), (200, 'stamped'), (1000, 'stamped')),
        *((200, 'jitter'), (50, 'jitter'), (200, 'zero'), (100, 'jumps'), (200, 'burst')),
    ],
)
def test_fast_odometry_drives_as_well(
    monkeypatch: pytest.MonkeyPatch,
    agent: Agent,
    at_the_control_rate: np.ndarray,
    rate: float,
    kind: str,
) -> None:
    returns, drives = drive(monkeypatch, agent, rate, kind)
    noise = 2 * at_the_control_rate.std() + 2.0
    assert returns.mean() > at_the_control_rate.mean() - noise
    for found in drives:
        commands = len(found.levels)
        assert commands == pytest.approx(SECONDS / PERIOD, rel=0.1)
        assert found.levels.count(PLAN) > 0.8 * commands


def test_rare_odometry_is_filled_in_from_the_last_plan(
    monkeypatch: pytest.MonkeyPatch, agent: Agent
) -> None:
    returns, drives = drive(monkeypatch, agent, 10.0, 'stamped')
    assert all(math.isfinite(each) for each in returns)
    for found in drives:
        assert len(found.levels) > 0.8 * SECONDS / PERIOD
        assert set(found.levels[1:]) <= {PLAN, SHIFTED}
        assert 'states come at 10 Hz' in found.gate.clock.problem(SECONDS)
