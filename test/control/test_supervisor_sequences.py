# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Promises of the supervisor that hold whatever happens in whatever order."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from supervised import HIGH, LIMITS, LOW, PERIOD, RATES, WALL, limits, make_plan

from loop_ros.control.supervisor import PLAN, STOP, Command, Supervisor

numbers = st.sampled_from([0.0, 1.0, 9.0, -9.0, 1e300, np.nan, np.inf]) | st.floats()
# Of the robot's clock, control periods: as it should be, lost states, repetitions, jumps.
gaps = st.sampled_from([1, 1, 1, 1, 2, 5, 0, 0.001, -1, -3, 1e6, -1e6])
reasons = st.sampled_from(['operator stop', 'weights are not finite'])


class AnySequence(RuleBasedStateMachine):
    """The planner's worker around a supervisor, whose world does what it likes."""

    @initialize(realtime=st.booleans(), limited=st.booleans(), impatient=st.booleans())
    def start(self, realtime: bool, limited: bool, impatient: bool) -> None:
        changes = {'distrust_steps': 2, 'unsafe_steps': 2} if impatient else {}
        self.rates = RATES if limited else np.full(2, 1e9)
        rates = RATES if limited else np.zeros(2)
        self.supervisor = Supervisor(limits(rates=rates, **changes), realtime)
        self.realtime = realtime
        self.now, self.stamp = 100.0, 0
        self.answered = True
        self.met = False
        self.latches: set[str] = set()
        self.last = np.zeros(2)
        self.sent_at = self.duty_since = self.heard = self.now
        self.next_look = self.now + WALL / 2
        self.supervisor.begin(self.now)

    # What happens

    @rule(gap=gaps, share=st.floats(0.0, 1.0))
    def a_state_comes(self, gap: float, share: float) -> None:
        self.now += share * (self.next_look - self.now)
        self.stamp += round(gap * PERIOD)
        self.answered, self.met, self.heard = False, True, self.now
        self.supervisor.receive(self.now)
        if gap != 1:
            self.supervisor.restart()

    @rule()
    def a_state_is_refused(self) -> None:
        self.supervisor.refuse_state("odometry 'v_y' is nan")

    @rule(
        value=numbers,
        bad=st.sampled_from([None, None, None, np.zeros((3, 5)), np.zeros((0, 2))]),
        cost=numbers,
        share=st.sampled_from([0.0, 0.3, np.nan]),
        reached=numbers,
        std=st.sampled_from([1.0, 0.0, np.nan, np.inf]),
        age=st.sampled_from([0, 0, 0, 1, 5]),
    )
    def a_plan_is_ready(
        self,
        value: float,
        bad: np.ndarray | None,
        cost: float,
        share: float,
        reached: float,
        std: float,
        age: int,
    ) -> None:
        with np.errstate(all='ignore'):
            plan = make_plan(
                value, actor=value, worst_cost=cost, safe_fraction=share, next_state=reached,
                next_std=std,
            )  # fmt: skip
            if bad is not None:
                plan = dataclasses.replace(plan, sequence=bad)
            self.supervisor.keep_plan(self.stamp - age * PERIOD, plan)
        if age == 0 and not self.answered:
            self.answer()

    @rule(gap=gaps, value=numbers)
    def a_period_as_it_should_be(self, gap: float, value: float) -> None:
        self.time_passes(2)
        self.a_state_comes(gap, 0.3)
        self.a_plan_is_ready(value, None, 0.0, 1.0, 0.0, 1.0, 0)

    @rule(value=numbers)
    def the_actor_answers(self, value: float) -> None:
        self.supervisor.keep_actor(self.stamp, np.full(2, value))

    @precondition(lambda self: self.realtime and not self.answered)
    @rule()
    def a_plan_is_late(self) -> None:
        self.answer()

    @rule(halves=st.integers(1, 40))
    def time_passes(self, halves: int) -> None:
        for _ in range(halves):
            self.now, self.next_look = self.next_look, self.next_look + WALL / 2
            self.watch()

    @rule(reason=reasons, really=st.sampled_from([False, False, False, True]))
    def something_is_latched(self, reason: str, really: bool) -> None:
        if not really:
            return
        if not self.on_duty():
            self.duty_since = self.now
        self.supervisor.latch(reason)
        self.latches.add(reason)

    @rule()
    def the_operator_resets(self) -> None:
        assert set(self.supervisor.reset()) == self.latches
        self.latches.clear()

    @rule()
    def the_node_is_activated_again(self) -> None:
        self.supervisor.shutdown_command()
        self.last = LIMITS.safe
        self.supervisor.begin(self.now)
        self.met, self.answered = False, True
        self.heard = self.sent_at = self.duty_since = self.now

    @precondition(lambda self: self.latches)
    @rule()
    def a_stop_comes_to_rest(self) -> None:
        self.time_passes(60)
        np.testing.assert_allclose(self.last, LIMITS.safe, atol=1e-9)

    # What is promised

    @invariant()
    def no_latch_is_released_by_itself(self) -> None:
        assert self.supervisor.latched == bool(self.latches)

    def on_duty(self) -> bool:
        stale = self.now - self.heard > LIMITS.state_timeout
        return bool(self.latches) or stale or (self.realtime and self.met)

    def watch(self) -> None:
        if self.on_duty():
            assert self.now - max(self.sent_at, self.duty_since) <= 2 * WALL + 1e-9
        else:
            self.duty_since = self.now
        if self.supervisor.due(self.now):
            self.answer(unsolicited=True)

    def answer(self, unsolicited: bool = False) -> None:
        with np.errstate(all='ignore'):
            command = self.supervisor.command(self.now, self.stamp, unsolicited)
        self.check(command)
        if not unsolicited:
            self.answered = True
        self.last, self.sent_at = command.action, self.now

    def check(self, command: Command) -> None:
        action = command.action
        assert action.shape == LOW.shape and np.isfinite(action).all()
        assert (action >= LOW).all() and (action <= HIGH).all()
        assert (np.abs(action - self.last) <= self.rates * WALL + 1e-9).all()
        assert command.reason
        assert PLAN <= command.level <= STOP
        if self.latches:
            assert command.level == STOP
            assert all(reason in command.reason for reason in self.latches)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
