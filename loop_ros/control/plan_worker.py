# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner thread: it alone touches the agent and its device; knows no ROS.

What goes out is the supervisor's choice, made and published under one lock, so that no plan
overtakes a stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from loop_ros.checkpoint.files import NotFiniteError
from loop_ros.control.plan_statistics import PlanStatistics
from loop_ros.control.shadow import Shadow
from loop_ros.control.supervisor import Command, Supervisor
from loop_ros.control.trial import WeightsTrial
from loop_ros.settings import PlannerSettings
from loop_ros.sim.task import Array, Task

if TYPE_CHECKING:
    from loop_ros.agent import Agent


@dataclass(frozen=True, slots=True)
class Answer:
    """One command and how it came about."""

    stamp: int  # ns, of the state that it answers, else of the moment
    observation: Array  # [O]; NaN where no state is answered
    command: Command


@dataclass(frozen=True, slots=True)
class _State:
    stamp: int
    observation: Array
    restart: bool  # a new episode began since the last state that was planned


def is_restart(previous: int | None, stamp: int, period: int) -> bool:
    """Whether the gap between two stamps (ns) is not about one control period (ns)."""
    return previous is None or not 0.5 * period <= stamp - previous <= 1.5 * period


class PlanWorker:
    """Newest state in, one answer per state out; weights and settings change between plans.

    `publish` is called once for each state, in the planner thread for a fresh plan and in the
    caller's thread for `expire` and for a repeated state; and for what no state asks for.
    `on_weights` is called with the version in use, and the reason where others were not taken;
    `on_move` where the agent's device has too little memory and the CPU takes over.
    """

    def __init__(
        self,
        task: Task,
        supervisor: Supervisor,
        publish: Callable[[Answer], None],
        on_weights: Callable[[int, str], None],
        on_move: Callable[[str], None],
        trial: WeightsTrial,
        explore: bool = False,
        realtime: bool = False,
        shadow: Shadow | None = None,
    ) -> None:
        """In real time the actor is asked before each plan, to have its answer if needed.

        With a shadow another controller drives, whose actions come by `watch_other`.
        """
        self.statistics = PlanStatistics()
        self._task = task
        self._period = round(task.control_period * 1e9)
        self._patience = 2 * supervisor.limits.wall_period  # s without a state
        self._supervisor = supervisor
        self._publish, self._on_weights, self._on_move = publish, on_weights, on_move
        self._trial, self._explore, self._realtime = trial, explore, realtime
        self._shadow = shadow
        self._changed = threading.Condition()
        self._next: _State | None = None  # newest state not yet taken up
        self._received: _State | None = None
        self._received_at = 0.0  # s, steady clock
        self._answer: Answer | None = None
        self._jobs: dict[str, Callable[[Agent], None]] = {}  # for before a plan, by kind
        self._weights: bytes | None = None  # for after one
        self._running = True
        self.failure: Exception | None = None
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, make_agent: Callable[[], Agent]) -> None:
        """Make the agent in the planner thread; raises what `make_agent` raises."""
        self._thread = threading.Thread(
            target=self._run, args=(make_agent,), name='planner', daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self.failure is not None:
            raise self.failure

    def stop(self, timeout: float = 3.0) -> None:
        """End the thread after the plan it works on."""
        with self._changed:
            self._running = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def configure(self, settings: PlannerSettings) -> None:
        """Use these settings from the next plan on."""
        self._later('settings', lambda agent: agent.configure(settings))

    def load_weights(self, data: bytes) -> None:
        """Try these weights after the next plan, when the one after that is furthest away."""
        with self._changed:
            self._weights = data
            self._changed.notify()

    def watch_other(self, action: Array) -> None:
        """As a shadow: what the other controller answers to the newest state."""
        with self._changed:
            shadow, state = self._shadow, self._received
            if shadow is not None and state is not None and shadow.hear(state.stamp, action):
                self._trial.did(action)
                self._later('difference', shadow.compare)

    def receive(self, stamp: int, observation: Array) -> bool:
        """Take a state up; false for a repetition, which gets the same answer again."""
        with self._changed:
            now = time.monotonic()
            self._supervisor.state(now)
            last = self._received
            if last and last.stamp == stamp and np.array_equal(last.observation, observation):
                if self._answer is not None:
                    self._repeat(self._answer, last, now)
                return False
            restart = is_restart(last.stamp if last else None, stamp, self._period)
            unplanned = self._next is not None and self._next.restart
            if restart:
                self._supervisor.restart()
            elif self._realtime and self._answer is None:
                self.statistics.missed += 1  # the period ended before `expire` could answer
            self._answer = None
            self._trial.reach(observation, restart)
            self._received, self._received_at = _State(stamp, observation, restart), now
            self._next = _State(stamp, observation, restart or unplanned)
            self._changed.notify()
            return True

    def expire(self) -> None:
        """Real time: the newest state's period is over; answer it from the ladder if need be."""
        with self._changed:
            if self._received is not None and self._answer is None:
                self.statistics.missed += 1
                self._reply(self._received, time.monotonic())

    def begin(self) -> None:
        """The robot may be heard and commanded from now on."""
        with self._changed:
            self._supervisor.begin(time.monotonic())

    def watch(self, clock: int) -> None:
        """Send a command that no state asks for, stamped `clock` (ns), where one is due."""
        with self._changed:
            now = time.monotonic()
            if self._supervisor.due(now):
                self._send(clock, now)

    def halt(self, reason: str, clock: int) -> None:
        """Stop the robot at once, until `release`."""
        with self._changed:
            self._supervisor.latch(reason)
            self._send(clock, time.monotonic())

    def release(self) -> list[str]:
        """Let the robot go on; says what had stopped it."""
        with self._changed:
            return self._supervisor.reset()

    def refuse_state(self, reason: str) -> None:
        """Something came that is no state of this robot."""
        with self._changed:
            self._supervisor.refuse_state(reason)

    def constrain(self, constrained: bool) -> None:
        """Whether plans have to keep their cost under d0."""
        with self._changed:
            self._supervisor.constrained = constrained

    def last_word(self, clock: int) -> None:
        """Leave the robot with the safe command."""
        with self._changed:
            self._publish(Answer(clock, self._nothing(), self._supervisor.last_word()))

    def _run(self, make_agent: Callable[[], Agent]) -> None:
        try:
            agent = make_agent()
            self._ready.set()
            while self._running:
                agent = self._once(agent)
        except Exception as error:  # the executor's thread looks at it
            self.failure = error
        finally:
            self._ready.set()

    def _once(self, agent: Agent) -> Agent:
        """The agent for the next time, which may have moved."""
        with self._changed:
            while self._running and not (self._next or self._jobs):
                if not self._changed.wait(self._patience if self._weights else None):
                    break  # nobody asks for a plan
            state, self._next = self._next, None
            jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job(agent)
        if state is not None and self._running:
            try:
                self._plan(agent, state)
            except torch.OutOfMemoryError as error:
                if agent.device.type == 'cpu':
                    raise
                agent = agent.on_cpu()
                self._on_move(str(error))
                self._plan(agent, state)
        with self._changed:
            weights, self._weights = self._weights, None
        if weights is not None:
            self._swap(agent, weights)
        elif reason := self._trial.review(agent):
            self._on_weights(agent.version, reason)
        return agent

    def _later(self, kind: str, job: Callable[[Agent], None]) -> None:
        """For the planner thread, before its next plan; the newest of a kind counts."""
        with self._changed:
            self._jobs[kind] = job
            self._changed.notify()

    def _swap(self, agent: Agent, weights: bytes) -> None:
        try:
            self._on_weights(self._trial.take(agent, weights, self.statistics.plan_s()), '')
        except NotFiniteError as error:
            with self._changed:
                self._supervisor.latch('weights are not finite')
            self._on_weights(agent.version, str(error))
        except ValueError as error:
            self._on_weights(agent.version, str(error))

    def _plan(self, agent: Agent, state: _State) -> None:
        if state.restart:
            agent.reset()
        if self._realtime:
            action = agent.act_without_planning(state.observation)
            with self._changed:
                self._supervisor.keep_actor(state.stamp, action)
        judged = self._supervisor.limits.distrust_steps > 0  # else nobody compares
        plan = agent.act(state.observation, self._explore, foretell=judged)
        self.statistics.add(plan)
        if self._shadow is not None:
            self._shadow.keep_plan(state.stamp, state.observation, plan)
            self._shadow.compare(agent)
        with self._changed:
            self._supervisor.keep_plan(state.stamp, plan)
            wanted = self._received is not None and self._received.stamp == state.stamp
            if wanted and self._answer is None:  # else it is late, or a newer state is here
                self._reply(state, time.monotonic())

    def _reply(self, state: _State, now: float) -> None:
        """The one answer to a state."""
        command = self._supervisor.command(now, state.stamp)
        self._answer = Answer(state.stamp, state.observation, command)
        if self._shadow is None:
            self._trial.did(command.action)
        self._publish(self._answer)

    def _repeat(self, answer: Answer, state: _State, now: float) -> None:
        """The same answer again, unless the robot was told to stop since then."""
        if self._supervisor.latched:
            self._reply(state, now)
        else:
            self._publish(answer)

    def _send(self, clock: int, now: float) -> None:
        """A command without a plan of its own: to the state that waits, else to none."""
        state = self._received
        waits = state is not None and self._answer is None
        if state is not None and waits and (self._realtime or self._supervisor.latched):
            self.statistics.missed += not self._supervisor.latched
            self._reply(state, now)
            return
        stamp = clock
        if state is not None:  # by the robot's clock, which may stand still without states
            periods = round((now - self._received_at) / self._supervisor.limits.wall_period)
            stamp = state.stamp + periods * self._period
        command = self._supervisor.command(now, stamp, unasked=True)
        self._publish(Answer(clock, self._nothing(), command))

    def _nothing(self) -> Array:
        return np.full(len(self._task.observation_labels), np.nan)
