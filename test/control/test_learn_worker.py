# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the nodes that know no ROS."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loop_ros.control.sequence import SequenceCheck
from loop_ros.sim import registry
from loop_ros.sim.run_statistics import RunStatistics
from loop_ros.sim.simulation import RESET_JUMP, Simulation, planner_cost
from loop_ros.types import Transition

CAR = registry.task('drift_car')
PERIOD = 35_000_000


def make_transition(episode: int, step: int, value: float = 0.0, last: bool = False) -> Transition:
    vector = np.full(6, value + step)
    stamp = episode * 10.0 + step
    return Transition(stamp, episode, step, vector, np.zeros(2), -1.0, 0.0, vector + 1, False, last)


class TestSequenceCheck:
    def test_a_clean_run(self) -> None:
        check = SequenceCheck()
        for episode in range(3):
            for step in range(4):
                assert check.accept(make_transition(episode, step, last=step == 3))
        assert check.counts() == {
            'received': 12,
            'duplicates': 0,
            'gaps': 0,
            'missing': 0,
            'restarts': 0,
        }

    def test_duplicates_gaps_and_restarts(self) -> None:
        check = SequenceCheck()
        for step in (0, 1, 1, 0, 4, 5):
            check.accept(make_transition(0, step))
        assert (check.duplicates, check.gaps, check.missing) == (2, 1, 2)
        check.accept(make_transition(1, 1))  # the end of episode 0 and step 0 are missing
        assert (check.gaps, check.missing) == (2, 4)
        assert check.accept(make_transition(0, 0, value=5.0))  # a new run
        assert check.accept(make_transition(0, 1, value=5.0))
        assert (check.restarts, check.gaps, check.duplicates) == (1, 2, 2)

    @given(st.lists(st.integers(0, 39), max_size=60))
    def test_duplicates_never_pass(self, order: list[int]) -> None:
        check, passed = SequenceCheck(), []
        run = [make_transition(i // 10, i % 10, last=i % 10 == 9) for i in range(40)]
        for index in sorted(order):
            if check.accept(run[index]):
                passed.append(index)
        assert passed == sorted(set(order))


class TestSimulation:
    def test_numbers_stamps_and_seeds(self) -> None:
        simulation = Simulation(CAR, registry.make('drift_car'), seed=4)
        assert simulation.stamp == 0
        first = [simulation.step(np.array([3.0, 0.3])) for _ in range(100)]
        assert [t.step for t in first] == list(range(100))
        assert [t.truncated for t in first] == [False] * 99 + [True]
        for one, two in zip(first, first[1:], strict=False):
            np.testing.assert_array_equal(one.next_observation, two.observation)
        assert simulation.stamp == 100 * PERIOD + RESET_JUMP
        expected, _ = registry.make('drift_car').reset(seed=5)
        np.testing.assert_array_equal(simulation.observation, expected)
        assert (simulation.episode, simulation.step_number) == (1, 0)

    def test_limits_and_early_end(self) -> None:
        simulation = Simulation(CAR, registry.make('drift_car'), seed=0)
        transition = simulation.step(np.array([50.0, 0.0]))
        assert (transition.action[0], simulation.clipped) == (10.0, 1)
        simulation.end_episode()
        assert simulation.step(np.zeros(2)).truncated
        assert not simulation.step(np.zeros(2)).truncated


def test_statistics_lines() -> None:
    statistics = RunStatistics()
    statistics.plan(0.02, 0.5)
    speeds = {'speed': 3.0, 'slip': 0.5, 'radius': 1.0}
    assert statistics.step(make_transition(0, 0), speeds) is None
    last = dataclasses.replace(make_transition(0, 1, last=True), cost=1.0)
    assert statistics.step(last, {**speeds, 'speed': 4.0}) == (
        'episode=0 return=-2.0 cost_steps=1 mean_speed=3.50 mean_slip=0.50 mean_radius=1.00 '
        'plan_hz=50.0 d0=0.50'
    )
    assert statistics.summary() == (
        'summary: episodes=1 mean_return=-2.00 cost_steps=1 plan_hz=50.0'
    )
    assert RunStatistics().summary().startswith('summary: episodes=0 mean_return=nan')


def test_both_costs_where_they_are_not_the_same() -> None:
    statistics = RunStatistics()
    statistics.plan(0.02, 0.0)
    run = [dataclasses.replace(make_transition(0, i, last=i == 2), cost=4.0 * i) for i in range(3)]
    assert [statistics.step(t, {}, planner_cost=float(t.step == 2)) for t in run][-1] == (
        'episode=0 return=-3.0 cost_steps=2 cost=12 planner_cost=1 plan_hz=50.0 d0=0.00'
    )
    assert statistics.progress() == 'return 0.0, 0 steps with cost'
    observation, _ = registry.make('drift_car').reset(seed=0)
    assert planner_cost(CAR, observation) is None  # the environment's own
    world = registry.task('PointGoal1')
    reached = np.full(26, 1.0)
    assert planner_cost(world, reached) == 0.0
    reached[-2:] = 0.1, -0.1
    assert planner_cost(world, reached) == 1.0


def test_the_learner_thread_saves_what_was_queued(tmp_path: Path) -> None:
    from loop_ros.agent import Agent
    from loop_ros.control.learn_worker import LearnWorker
    from loop_ros.settings import Settings

    errors: list[str] = []
    worker = LearnWorker(tmp_path / 'c', 1e6, 1e6, lambda _: None, errors.append)
    worker.start(lambda: Agent(CAR, Settings()))
    for step in range(30):
        worker.put(make_transition(0, step))
    worker.put(dataclasses.replace(make_transition(0, 30), reward=float('nan')))
    assert worker.stop(10.0)
    assert worker.failure is None
    assert Agent.load(tmp_path / 'c', CAR).num_steps == 30
    assert len(errors) == 1 and 'not finite' in errors[0]


def test_a_learner_that_lags_behind_cuts_the_ensembles_training_short() -> None:
    from loop_ros.control.learn_worker import LONG_BACKLOG, LearnWorker

    worker = LearnWorker(None, 1e6, 1e6, lambda _: None, lambda _: None)
    for step in range(LONG_BACKLOG):
        worker.put(make_transition(0, step))
    assert not worker._hurried()
    worker.put(make_transition(0, LONG_BACKLOG))
    assert worker._hurried()


def test_a_learner_far_behind_keeps_what_it_has_no_time_to_learn_from(tmp_path: Path) -> None:
    """The oldest go into the buffer without an update; every one of them is there in the end."""
    import tiny

    from loop_ros.agent import Agent
    from loop_ros.control.intake import SKIPPED_BACKLOG
    from loop_ros.control.learn_worker import LearnWorker

    settings = tiny.settings(learning__buffer_size=5000)
    updated = threading.Event()

    class Told(Agent):
        def update(self, stop: Callable[[], bool] = lambda: False) -> dict[str, float]:
            updated.set()
            return super().update(stop)

    worker = LearnWorker(tmp_path / 'c', 1e6, 1e6, lambda _: None, lambda _: None)
    for step in range(SKIPPED_BACKLOG + 300):
        worker.put(make_transition(0, step))
    worker.start(lambda: Told(CAR, settings))
    assert updated.wait(20)
    assert worker.intake.sources[''].skipped == 300
    assert worker.stop(60.0)
    saved = Agent.load(tmp_path / 'c', CAR)
    assert saved.num_steps == len(saved.learner.buffer) == SKIPPED_BACKLOG + 300
