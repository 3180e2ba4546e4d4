# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of the nodes that know no ROS."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack import until
from supervised import make_plan

from loop_ros.nodes.fallback import ACTOR, FRESH, SAFE, SHIFTED, FallbackLadder
from loop_ros.nodes.plan_worker import Answer, PlanWorker, is_restart
from loop_ros.nodes.sequence import SequenceCheck
from loop_ros.nodes.simulation import RESET_JUMP, Simulation, planner_cost
from loop_ros.nodes.statistics import RunStatistics
from loop_ros.settings import PlannerSettings
from loop_ros.sim import registry
from loop_ros.types import Plan, Transition

CAR = registry.task('drift_car')
PERIOD = 35_000_000


def make_transition(episode: int, step: int, value: float = 0.0, last: bool = False) -> Transition:
    vector = np.full(6, value + step)
    stamp = episode * 10.0 + step
    return Transition(stamp, episode, step, vector, np.zeros(2), -1.0, 0.0, vector + 1, False, last)


class TestFallbackLadder:
    def test_steps_down(self) -> None:
        ladder = FallbackLadder(PERIOD, np.zeros(2))
        assert ladder.command(0)[0] == SAFE
        ladder.keep_actor(0, np.array([5.0, 0.5]))
        level, action, _ = ladder.command(0)
        assert (level, action[0]) == (ACTOR, 5.0)
        assert ladder.command(PERIOD)[0] == SAFE  # the actor's answer was for another state
        ladder.keep_plan(0, make_plan(1.0))
        for row in range(3):
            level, action, plan = ladder.command(row * PERIOD)
            assert (level, action[0]) == (SHIFTED, 1.0 + row)
            assert plan is not None
        assert ladder.command(3 * PERIOD)[0] == SAFE  # beyond the horizon
        assert ladder.command(-PERIOD)[0] == SAFE  # time ran backwards
        ladder.clear()
        assert ladder.command(0)[0] == SAFE


@given(st.integers(0, 10**18), st.integers(-(10**11), 10**11))
def test_a_new_episode_is_a_gap_in_the_stamps(stamp: int, gap: int) -> None:
    assert is_restart(None, stamp, PERIOD)
    expected = not PERIOD / 2 <= gap <= PERIOD * 3 / 2
    assert is_restart(stamp, stamp + gap, PERIOD) == expected


class FakeAgent:
    """Plans when it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.go = threading.Semaphore(0)
        self.d0 = 0.2

    def act(self, observation: np.ndarray, explore: bool = False) -> Plan:
        assert self.go.acquire(timeout=5)
        self.calls.append(f'act {observation[0]:g}')
        return make_plan(observation[0], d0=self.d0)

    def act_without_planning(self, observation: np.ndarray) -> np.ndarray:
        self.calls.append('actor')
        return np.array([9.0, 0.0])

    def reset(self) -> None:
        self.calls.append('reset')

    def configure(self, planner: PlannerSettings) -> None:
        self.d0 = planner.d0

    def load_weights(self, data: bytes) -> int:
        if data != b'good':
            raise ValueError('broken')
        return 7


class TestPlanWorker:
    @pytest.fixture(params=[False, True], ids=['lockstep', 'realtime'])
    def world(self, request: pytest.FixtureRequest):
        self.answers: list[Answer] = []
        self.weights: list[int | ValueError] = []
        self.agent = FakeAgent()
        self.worker = PlanWorker(
            CAR, self.answers.append, self.weights.append, realtime=request.param
        )
        self.worker.start(lambda: self.agent)
        yield
        self.agent.go.release()
        self.worker.stop()

    def receive(self, step: int, jump: int = 0) -> None:
        self.worker.receive(step * PERIOD + jump, np.full(6, float(step)))

    def answered(self, count: int) -> Answer:
        until(lambda: len(self.answers) >= count, 5, f'{count} answers')
        return self.answers[count - 1]

    def test_one_fresh_answer_for_each_state(self, world: None) -> None:
        for step in range(3):
            self.agent.go.release()
            self.receive(step)
            answer = self.answered(step + 1)
            assert (answer.stamp, answer.level) == (step * PERIOD, FRESH)
            assert answer.action[0] == step
        assert self.agent.calls.count('reset') == 1

    def test_a_repeated_state_gets_the_same_answer(self, world: None) -> None:
        self.receive(1)
        self.receive(1)  # while it plans
        self.agent.go.release()
        first = self.answered(1)
        self.receive(1)
        assert self.answered(2) is first
        assert self.agent.calls.count('act 1') == 1

    def test_a_jump_resets_the_warm_start(self, world: None) -> None:
        for count, (step, jump) in enumerate([(0, 0), (1, 0), (2, RESET_JUMP), (3, RESET_JUMP)]):
            self.agent.go.release()
            self.receive(step, jump)
            self.answered(count + 1)
        assert self.agent.calls.count('reset') == 2

    def test_settings_and_weights_change_between_plans(self, world: None) -> None:
        self.receive(0)
        until(lambda: self.worker._next is None, 5, 'the plan begins')
        self.worker.configure(PlannerSettings(d0=0.7))
        self.worker.load_weights(b'bad')
        self.agent.go.release()
        assert self.answered(1).plan.d0 == 0.2
        until(lambda: self.weights, 5, 'weights')
        self.worker.load_weights(b'good')
        self.agent.go.release()
        self.receive(1)
        assert self.answered(2).plan.d0 == 0.7
        until(lambda: len(self.weights) == 2, 5, 'weights')
        assert isinstance(self.weights[0], ValueError) and self.weights[1] == 7

    def test_a_failure_is_kept(self, world: None) -> None:
        self.agent.act = lambda *_: 1 / 0  # type: ignore[method-assign, assignment]
        self.receive(0)
        until(lambda: self.worker.failure, 5, 'the failure')
        assert isinstance(self.worker.failure, ZeroDivisionError)


def test_late_plans_fall_back_and_late_results_are_kept() -> None:
    agent, answers = FakeAgent(), []
    worker = PlanWorker(CAR, answers.append, lambda _: None, realtime=True)
    worker.start(lambda: agent)

    def receive(step: int) -> None:
        worker.receive(step * PERIOD, np.full(6, float(step)))

    receive(0)
    until(lambda: 'actor' in agent.calls, 5, 'the actor')
    worker.expire()
    assert [a.level for a in answers] == [ACTOR]
    worker.expire()  # answered already
    agent.go.release()
    until(lambda: worker.plans == 1, 5, 'the late plan')
    assert len(answers) == 1  # it was late: not published, but kept
    receive(1)
    worker.expire()
    assert (answers[-1].level, answers[-1].action[0]) == (SHIFTED, 1.0)
    receive(4)  # two states lost, in a new warm start: nothing to shift
    worker.expire()
    assert answers[-1].level == SAFE
    assert worker.missed == 3
    for _ in range(3):
        agent.go.release()
    worker.stop()


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
        'episode=0 return=-2.0 cost_steps=1 mean_speed=3.50 slip=0.50 plan_hz=50.0 d0=0.50'
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
    from loop_ros.nodes.learn_worker import LearnWorker
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
    from loop_ros.nodes.learn_worker import LONG_BACKLOG, LearnWorker

    worker = LearnWorker(None, 1e6, 1e6, lambda _: None, lambda _: None)
    for step in range(LONG_BACKLOG):
        worker.put(make_transition(0, step))
    assert not worker._hurried()
    worker.put(make_transition(0, LONG_BACKLOG))
    assert worker._hurried()
