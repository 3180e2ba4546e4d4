# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner thread: one answer per state, late plans, stops, weights and settings in between."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stack import until
from supervised import CAR, PERIOD, make_plan, supervisor

from loop_ros.checkpoint.files import NotFiniteError
from loop_ros.control.plan_worker import Answer, PlanWorker, is_restart
from loop_ros.control.supervisor import ACTOR, HOLD, PLAN, SHIFTED, STOP
from loop_ros.control.trial import WeightsTrial
from loop_ros.settings import PlannerSettings
from loop_ros.sim.simulation import RESET_JUMP
from loop_ros.types import Plan


@given(st.integers(0, 10**18), st.integers(-(10**11), 10**11))
def test_a_new_episode_is_a_gap_in_the_stamps(stamp: int, gap: int) -> None:
    assert is_restart(None, stamp, PERIOD)
    expected = not PERIOD / 2 <= gap <= PERIOD * 3 / 2
    assert is_restart(stamp, stamp + gap, PERIOD) == expected


class FakeAgent:
    """Plans when it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.version, self.ready = 3, True
        self.device, self.memory = torch.device('cuda'), 1000
        self.go = threading.Semaphore(0)
        self.d0 = 0.2

    def act(self, observation: np.ndarray, explore: bool = False, foretell: bool = False) -> Plan:
        assert foretell
        assert self.go.acquire(timeout=5)
        if self.device.type == 'cuda' and self.memory < 1:
            raise torch.OutOfMemoryError('16 sequences do not fit')
        self.calls.append(f'act {observation[0]:g}')
        return make_plan(observation[0], d0=self.d0)

    def on_cpu(self) -> FakeAgent:
        self.device = torch.device('cpu')
        return self

    def act_without_planning(self, observation: np.ndarray) -> np.ndarray:
        self.calls.append('actor')
        return np.array([9.0, 0.0])

    def reset(self) -> None:
        self.calls.append('reset')

    def configure(self, planner: PlannerSettings) -> None:
        self.d0 = planner.d0

    def load_weights(self, data: bytes) -> int:
        if data == b'nan':
            raise NotFiniteError('weights: actor is not finite')
        if data != b'good':
            raise ValueError('broken')
        return 7


class TestPlanWorker:
    @pytest.fixture(params=[False, True], ids=['lockstep', 'realtime'])
    def world(self, request: pytest.FixtureRequest):
        self.answers: list[Answer] = []
        self.weights: list[tuple[int, str]] = []
        self.moves: list[str] = []
        self.agent = FakeAgent()
        self.worker = PlanWorker(
            CAR,
            supervisor(realtime=request.param),
            self.answers.append,
            lambda version, refusal: self.weights.append((version, refusal)),
            self.moves.append,
            WeightsTrial(0, 1.0, 1.0),
            realtime=request.param,
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
            assert (answer.stamp, answer.command.level) == (step * PERIOD, PLAN)
            assert answer.command.action[0] == step
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
        assert self.answered(1).command.plan.d0 == 0.2
        until(lambda: self.weights, 5, 'weights')
        self.worker.load_weights(b'good')
        self.agent.go.release()
        self.receive(1)
        assert self.answered(2).command.plan.d0 == 0.7
        until(lambda: len(self.weights) == 2, 5, 'weights')
        assert self.weights == [(3, 'broken'), (7, '')]

    def test_a_stop_is_at_once_and_no_plan_overtakes_it(self, world: None) -> None:
        self.receive(0)
        until(lambda: self.worker._next is None, 5, 'the plan begins')
        self.worker.halt('operator stop', clock=5)
        answer = self.answered(1)  # to the state that waits
        assert (answer.stamp, answer.command.level) == (0, STOP)
        self.worker.halt('operator stop', clock=6)
        assert self.answered(2).stamp == 6  # nothing waits
        self.agent.go.release()
        until(lambda: self.worker.statistics.plans == 1, 5, 'the plan')
        self.agent.go.release()
        self.receive(1)
        assert self.answered(3).command[::2] == (STOP, 'operator stop')
        assert self.worker.release() == ['operator stop']
        self.agent.go.release()
        self.receive(2)
        assert self.answered(4).command.level == PLAN
        self.worker.halt('operator stop', clock=7)
        self.receive(2)  # a repetition is not answered by the plan from before the stop
        assert self.answered(6).command.level == STOP
        assert [a.stamp // PERIOD for a in self.answers] == [0, 0, 1, 2, 0, 2]

    def test_without_memory_on_its_device_the_cpu_answers(self, world: None) -> None:
        self.agent.memory = 0
        self.agent.go.release(2)
        self.receive(0)
        assert self.answered(1).command.level == PLAN
        assert self.moves == ['16 sequences do not fit']
        self.agent.go.release()
        self.receive(1)
        assert self.answered(2).command.level == PLAN
        assert len(self.moves) == 1

    def test_weights_that_are_not_finite_stop_the_robot_until_released(self, world: None) -> None:
        self.worker.load_weights(b'nan')
        until(lambda: self.weights, 5, 'weights')
        assert self.weights == [(3, 'weights: actor is not finite')]
        self.agent.go.release()
        self.receive(0)
        assert self.answered(1).command[::2] == (STOP, 'weights are not finite')
        self.worker.load_weights(b'good')
        until(lambda: len(self.weights) == 2, 5, 'weights')
        self.agent.go.release()
        self.receive(1)
        assert self.answered(2).command.level == STOP
        self.worker.release()
        self.agent.go.release()
        self.receive(2)
        assert self.answered(3).command.level == PLAN

    def test_a_failure_is_kept(self, world: None) -> None:
        self.agent.act = lambda *_, **__: 1 / 0  # type: ignore[method-assign, assignment]
        self.receive(0)
        until(lambda: self.worker.failure, 5, 'the failure')
        assert isinstance(self.worker.failure, ZeroDivisionError)


def test_late_plans_fall_back_and_late_results_are_kept() -> None:
    agent, answers = FakeAgent(), []
    trial = WeightsTrial(0, 1.0, 1.0)
    worker = PlanWorker(CAR, supervisor(), answers.append, print, print, trial, realtime=True)
    worker.start(lambda: agent)

    def receive(step: int) -> None:
        worker.receive(step * PERIOD, np.full(6, float(step)))

    receive(0)
    until(lambda: 'actor' in agent.calls, 5, 'the actor')
    worker.expire()
    assert [a.command.level for a in answers] == [ACTOR]
    worker.expire()  # answered already
    agent.go.release()
    until(lambda: worker.statistics.plans == 1, 5, 'the late plan')
    assert len(answers) == 1  # it was late: not published, but kept
    receive(1)
    worker.expire()
    assert answers[-1].command[:1] == (SHIFTED,) and answers[-1].command.action[0] == 1.0
    receive(4)  # two states lost, in a new warm start: nothing to shift
    worker.expire()
    assert answers[-1].command.level == HOLD
    assert worker.statistics.missed == 3
    for _ in range(3):
        agent.go.release()
    worker.stop()
