# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner thread: one answer per state, late plans, stops, weights and settings in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from stack import until
from supervised import PERIOD, make_plan, supervisor

from loop_ros.checkpoint.files import NotFiniteError
from loop_ros.control.gate import Gate, State
from loop_ros.control.plan_worker import PlanWorker
from loop_ros.control.supervisor import ACTOR, HOLD, PLAN, SHIFTED, STOP, Command
from loop_ros.control.trial import WeightsTrial
from loop_ros.settings import PlannerSettings
from loop_ros.sim.simulation import RESET_JUMP
from loop_ros.types import Plan


class FakeAgent:
    """Plans when it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.version, self.ready = 3, True
        self.device, self.memory = torch.device('cuda'), 1000
        self.go = threading.Semaphore(0)
        self.d0 = 0.2

    def act(self, observation: np.ndarray, explore: bool, predict_next: bool) -> Plan:
        assert predict_next
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

    @property
    def planner(self) -> FakeAgent:
        return self

    def skip(self, steps: int) -> None:
        self.calls += ['skip'] * steps

    def configure(self, planner: PlannerSettings) -> None:
        self.d0 = planner.d0

    def load_weights(self, data: bytes) -> None:
        if data == b'nan':
            raise NotFiniteError('weights: actor is not finite')
        if data != b'good':
            raise ValueError('broken')
        self.version = 7


class World:
    """A planner thread behind a gate, as the node wires them."""

    def __init__(self, realtime: bool) -> None:
        self.answers: list[tuple[State, Command]] = []
        self.warnings: list[tuple[str, str]] = []
        self.agent = FakeAgent()
        self.gate = Gate(supervisor(realtime), lambda *answer: self.answers.append(answer))
        self.worker = PlanWorker(
            self.gate, WeightsTrial(0, 1.0, 1.0), lambda *warning: self.warnings.append(warning)
        )
        self.worker.start(lambda: self.agent)
        self.gate.open()

    def receive(self, step: int, jump: int = 0) -> None:
        state = self.gate.receive(step * PERIOD + jump, np.full(6, float(step)))
        if state is not None:
            self.worker.plan(state)

    def answered(self, count: int) -> tuple[State, Command]:
        until(lambda: len(self.answers) >= count, 5, f'{count} answers')
        return self.answers[count - 1]

    def planning(self) -> None:
        until(lambda: self.worker._next is None, 5, 'the plan begins')

    def warned(self, count: int = 1) -> list[tuple[str, str]]:
        until(lambda: len(self.warnings) >= count, 5, 'a warning')
        return self.warnings


class TestPlanWorker:
    @pytest.fixture(params=[False, True], ids=['lockstep', 'realtime'])
    def world(self, request: pytest.FixtureRequest) -> Iterator[World]:
        world = World(request.param)
        yield world
        world.agent.go.release()
        world.worker.stop()

    def test_one_fresh_answer_for_each_state(self, world: World) -> None:
        for step in range(3):
            world.agent.go.release()
            world.receive(step)
            state, command = world.answered(step + 1)
            assert (state.stamp, command.level) == (step * PERIOD, PLAN)
            assert command.action[0] == step
        assert world.agent.calls.count('reset') == 1

    def test_a_repeated_state_gets_the_same_answer(self, world: World) -> None:
        world.receive(1)
        world.receive(1)  # while it plans
        world.agent.go.release()
        first = world.answered(1)
        world.receive(1)
        assert world.answered(2)[1] is first[1]
        assert world.agent.calls.count('act 1') == 1

    def test_a_jump_resets_the_warm_start(self, world: World) -> None:
        for count, (step, jump) in enumerate([(0, 0), (1, 0), (2, RESET_JUMP), (3, RESET_JUMP)]):
            world.agent.go.release()
            world.receive(step, jump)
            world.answered(count + 1)
        assert world.agent.calls.count('reset') == 2

    def test_settings_and_weights_change_between_plans(self, world: World) -> None:
        world.receive(0)
        world.planning()
        world.worker.configure(PlannerSettings(d0=0.7))
        world.worker.load_weights(b'bad')
        world.agent.go.release()
        assert world.answered(1)[1].plan.d0 == 0.2
        assert world.warned() == [('weights', 'weights refused, version 3 stays: broken')]
        world.worker.load_weights(b'good')
        world.agent.go.release()
        world.receive(1)
        assert world.answered(2)[1].plan.d0 == 0.7
        until(lambda: world.worker.version == 7, 5, 'weights')
        assert len(world.warnings) == 1

    def test_a_stop_is_at_once_and_no_plan_overtakes_it(self, world: World) -> None:
        world.receive(0)
        world.planning()
        world.gate.stop('operator stop', clock=5)
        state, command = world.answered(1)  # to the state that waits
        assert (state.stamp, command.level) == (0, STOP)
        world.gate.stop('operator stop', clock=6)
        assert world.answered(2)[0].stamp == 6  # nothing waits
        world.agent.go.release()
        until(lambda: world.gate.statistics.plans == 1, 5, 'the plan')
        world.agent.go.release()
        world.receive(1)
        assert world.answered(3)[1][:3:2] == (STOP, 'operator stop')
        assert world.gate.reset() == ['operator stop']
        world.agent.go.release()
        world.receive(2)
        assert world.answered(4)[1].level == PLAN
        world.gate.stop('operator stop', clock=7)
        world.receive(2)  # a repetition is not answered by the plan from before the stop
        assert world.answered(6)[1].level == STOP
        assert [state.stamp // PERIOD for state, _ in world.answers] == [0, 0, 1, 2, 0, 2]

    def test_without_memory_on_its_device_the_cpu_answers(self, world: World) -> None:
        world.agent.memory = 0
        world.agent.go.release(2)
        world.receive(0)
        assert world.answered(1)[1].level == PLAN
        told = 'planning resumes on the CPU: 16 sequences do not fit'
        assert world.warned() == [('device', told)] and world.worker.device == 'cpu'
        world.agent.go.release()
        world.receive(1)
        assert world.answered(2)[1].level == PLAN
        assert len(world.warnings) == 1

    def test_weights_that_are_not_finite_stop_the_robot_until_released(self, world: World) -> None:
        world.worker.load_weights(b'nan')
        assert world.warned()[0][1].endswith('version 3 stays: weights: actor is not finite')
        world.agent.go.release()
        world.receive(0)
        assert world.answered(1)[1][:3:2] == (STOP, 'weights are not finite')
        world.worker.load_weights(b'good')
        until(lambda: world.worker.version == 7, 5, 'weights')
        world.agent.go.release()
        world.receive(1)
        assert world.answered(2)[1].level == STOP
        world.gate.reset()
        world.agent.go.release()
        world.receive(2)
        assert world.answered(3)[1].level == PLAN

    def test_a_failure_is_kept(self, world: World) -> None:
        world.agent.act = lambda *_, **__: 1 / 0  # type: ignore[method-assign, assignment]
        world.receive(0)
        until(lambda: world.worker.failure, 5, 'the failure')
        assert isinstance(world.worker.failure, ZeroDivisionError)


def test_late_plans_fall_back_and_late_results_are_kept() -> None:
    world = World(realtime=True)
    gate, answers = world.gate, world.answers
    world.receive(0)
    until(lambda: 'actor' in world.agent.calls, 5, 'the actor')
    gate.expire()
    assert [command.level for _, command in answers] == [ACTOR]
    gate.expire()  # answered already
    world.agent.go.release()
    until(lambda: gate.statistics.plans == 1, 5, 'the late plan')
    assert len(answers) == 1  # it was late: not published, but kept
    world.receive(2)  # the state between was lost
    gate.expire()
    assert answers[-1][1][:1] == (SHIFTED,) and answers[-1][1].action[0] == 2.0
    world.receive(3, RESET_JUMP)  # another episode: nothing to shift
    gate.expire()
    assert answers[-1][1].level == HOLD
    assert gate.statistics.missed == 3
    for _ in range(3):
        world.agent.go.release()
    world.worker.stop()


def test_the_warm_start_moves_on_by_the_states_that_were_lost() -> None:
    world = World(realtime=True)
    for count, step in enumerate((0, 1, 4)):
        world.agent.go.release()
        world.receive(step)
        until(lambda count=count: world.gate.statistics.plans == count + 1, 5, 'a plan')
    assert [call for call in world.agent.calls if call != 'actor'] == [
        *('reset', 'act 0', 'act 1', 'skip', 'skip', 'act 4')
    ]
    world.worker.stop()


def test_a_closed_gate_lets_nothing_out_and_keeps_the_latch() -> None:
    sent: list[Command] = []
    gate = Gate(supervisor(realtime=True), lambda state, command: sent.append(command))
    gate.stop('operator stop', clock=0)
    assert not sent
    gate.open()
    gate.receive(0, np.zeros(6))
    gate.expire()
    gate.close(clock=5)
    gate.expire()
    assert [(command.level, command.reason) for command in sent] == [
        (STOP, 'operator stop'),
        (STOP, 'the planner leaves'),
    ]
    assert gate.reset() == ['operator stop']


def test_the_gate_remembers_the_steps_that_the_robot_made() -> None:
    """Nothing across a restart, nor after a state that was never answered."""
    gate = Gate(supervisor(realtime=True), lambda *_: None, num_recent=2)
    gate.open()
    for step in (0, 1, 2, 3, 8, 9):
        gate.receive(step * PERIOD, np.full(6, float(step)))
        if step != 2:
            gate.answer(State(step * PERIOD, None), make_plan(float(step)))
    steps, total = gate.recent()
    made = [(s.observation[0], s.action[0], s.next_observation[0]) for s in steps]
    assert (made, total) == ([(1.0, 1.0, 2.0), (8.0, 8.0, 9.0)], 3)


@pytest.mark.parametrize('says', [True, False])
def test_a_robot_that_did_otherwise_says_so(says: bool) -> None:
    """Then that is remembered, and the plan's prediction is not held against the model."""
    levels: list[int] = []
    gate = Gate(supervisor(realtime=True), lambda _, command: levels.append(command.level), 5)
    gate.open()
    for step in range(20):
        gate.receive(step * PERIOD, np.full(6, float(step)))
        gate.answer(State(step * PERIOD, None), make_plan(1.0, next_state=100.0))
        gate.executed_elsewhere(np.array([9.0, 0.0]), stamp=(step - 1) * PERIOD)  # too late
        if says:
            gate.executed_elsewhere(np.array([7.0, 0.2]), stamp=step * PERIOD)
    assert (set(levels) == {PLAN}) == says
    if says:
        assert [made.action[0] for made in gate.recent().steps] == [7.0] * 5
