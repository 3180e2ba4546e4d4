# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one owner of what the robot gets.

States, plans and stops come in from two threads; the supervisor's choice goes out. Choice and
publication happen under one lock, so that no plan overtakes a stop.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from loop_ros.control.plan_statistics import PlanStatistics
from loop_ros.control.state_clock import StateClock
from loop_ros.control.supervisor import Command, Supervisor, is_next
from loop_ros.types import Array, Plan


class State(NamedTuple):
    """What a command answers."""

    stamp: int  # ns, of the observation; of the moment where there is none
    observation: Array | None  # [O]; None where no state asked for the command
    number: int = 0  # control periods so far, those without a state included
    restart: bool = False  # another episode began with it, or before it in states never planned


class Step(NamedTuple):
    """One control period of the robot."""

    observation: Array  # [O]
    action: Array  # [A], physical units
    next_observation: Array  # [O]


class RecentSteps(NamedTuple):
    """The robot's last steps, oldest first."""

    steps: list[Step]
    total: int  # steps so far


class Gate:
    """One command for each state, and those that no state asks for; latches and silence included.

    `awaits`, `receive`, `expire`, `watch`, `stop` and `reset` belong to the node's thread,
    `keep_actor` and `answer` to the planner's.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        publish: Callable[[State, Command], None],
        num_recent: int = 0,
        is_shadow: bool = False,
    ) -> None:
        """`publish` is called under the lock; `num_recent` steps are remembered.

        As a shadow another controller drives: what it does comes by `executed_elsewhere`, which
        also corrects what a robot did of a command.
        """
        self.statistics = PlanStatistics()
        self.supervisor = supervisor
        limits = supervisor.limits
        self.clock = StateClock(
            limits.period, limits.wall_period, round(limits.state_timeout * 1e9)
        )
        self._publish, self._is_shadow = publish, is_shadow
        self._lock = threading.Lock()
        self._is_open = False
        self._state: State | None = None  # the newest
        self._received_at = 0.0  # s, steady clock
        self._command: Command | None = None  # that answered it
        self._executed: Array | None = None  # what the robot did there
        self._recent: deque[Step] = deque(maxlen=max(1, num_recent))
        self._num_steps = 0

    def open(self) -> None:
        """Begin: silence counts from here."""
        with self._lock:
            self._is_open = True
            self._state = self._command = self._executed = None
            self.clock.begin()
            self.supervisor.begin(time.monotonic())

    def close(self, clock: int) -> None:
        """End with the safe command, stamped `clock` (ns); nothing goes out from here on."""
        with self._lock:
            self._is_open = False
            self._publish(State(clock, None), self.supervisor.shutdown_command())

    def awaits(self, stamp: int) -> bool:
        """Whether a state of `stamp` (ns) that arrives is to be received."""
        return self.clock.hear(stamp, time.monotonic())

    def receive(self, stamp: int, observation: Array) -> State | None:
        """Take up the state [O] of `stamp` (ns); a repetition gets its command again, and None."""
        with self._lock:
            now, last = time.monotonic(), self._state
            self.supervisor.receive(now)
            changed = last is None or not _equal(last.observation, observation)
            moment = self.clock.take(stamp, now, changed)
            if moment is None:
                if last is not None and self._command is not None and not changed:
                    self._repeat(last, self._command, now)
                return None
            if moment.restart:
                self.supervisor.restart()
            elif self._command is None and self.supervisor.realtime:
                self.statistics.missed += 1  # the period ended before `expire` could answer
            if last is not None:
                self._remember(last, moment.stamp, observation)
            self._state = State(moment.stamp, observation, moment.number, moment.restart)
            self._received_at = now
            self._command = self._executed = None
            return self._state

    def refuse_state(self, reason: str) -> None:
        """Something came that is no state of this robot."""
        with self._lock:
            self.supervisor.refuse_state(reason)

    def keep_actor(self, state: State, action: Array) -> None:
        """The actor's answer [A], should the plan be late."""
        with self._lock:
            self.supervisor.keep_actor(state.stamp, action)

    def answer(self, state: State, plan: Plan) -> None:
        """Answer a state with its plan, unless it was answered meanwhile or a newer one is here."""
        with self._lock:
            self.statistics.add(plan)
            self.supervisor.keep_plan(state.stamp, plan)
            is_newest = self._state is not None and self._state.stamp == state.stamp
            if self._is_open and is_newest and self._command is None:
                self._reply(state, time.monotonic())

    def expire(self) -> None:
        """Real time: the newest state's period is over; answer it from the ladder if need be."""
        with self._lock:
            if self._is_open and self._state is not None and self._command is None:
                self.statistics.missed += 1
                self._reply(self._state, time.monotonic())

    def watch(self, clock: int) -> None:
        """Send a command that no state asks for, stamped `clock` (ns), where one is due."""
        with self._lock:
            now = time.monotonic()
            if self._is_open and self.supervisor.due(now):
                self._send(clock, now)

    def stop(self, reason: str, clock: int) -> None:
        """Stop the robot at once, until `reset`."""
        with self._lock:
            self.supervisor.latch(reason)
            if self._is_open:
                self._send(clock, time.monotonic())

    def latch(self, reason: str) -> None:
        """Stop the robot with its next command, until `reset`."""
        with self._lock:
            self.supervisor.latch(reason)

    def reset(self) -> list[str]:
        """Let the robot drive again; returns what had stopped it."""
        with self._lock:
            return self.supervisor.reset()

    def executed_elsewhere(self, action: Array, stamp: int) -> None:
        """Another controller's action [A] in the state of `stamp` (ns), or the robot's own word."""
        with self._lock:
            if self._state is not None and self._state.stamp == stamp:
                self._executed = action
                self.supervisor.executed(action)

    @property
    def newest(self) -> State | None:
        """The newest state."""
        return self._state

    def recent(self) -> RecentSteps:
        """The robot's last steps."""
        with self._lock:
            return RecentSteps(list(self._recent), self._num_steps)

    def _remember(self, last: State, stamp: int, observation: Array) -> None:
        """A step of the robot, where it took one control period."""
        took_one = is_next(last.stamp, stamp, self.supervisor.limits.period)
        if last.observation is not None and self._executed is not None and took_one:
            self._recent.append(Step(last.observation, self._executed, observation))
            self._num_steps += 1

    def _reply(self, state: State, now: float) -> None:
        """The one command for a state; a stop may replace it."""
        self._command = self.supervisor.command(now, state.stamp)
        if not self._is_shadow:
            self._executed = self._command.action
        self._publish(state, self._command)

    def _repeat(self, state: State, command: Command, now: float) -> None:
        """The same command again, unless the robot was told to stop since then."""
        if self.supervisor.latched:
            self._reply(state, now)
        else:
            self._publish(state, command)

    def _send(self, clock: int, now: float) -> None:
        """A command without a plan of its own: for the state that waits, else for none."""
        state, limits, latched = self._state, self.supervisor.limits, self.supervisor.latched
        must_answer = latched or self.supervisor.realtime
        if state is not None and self._command is None and must_answer:
            self.statistics.missed += not latched
            self._reply(state, now)
            return
        stamp = clock
        if state is not None:  # by the robot's clock, which may stand still without states
            periods = round((now - self._received_at) / limits.wall_period)
            stamp = state.stamp + periods * limits.period
        self._publish(State(clock, None), self.supervisor.command(now, stamp, unsolicited=True))


def _equal(one: Array | None, two: Array) -> bool:
    return one is not None and np.array_equal(one, two)
