# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planner thread: only it touches the agent and its device, and it only plans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from loop_ros.checkpoint import NotFiniteError
from loop_ros.control.agent_thread import AgentThread
from loop_ros.control.gate import Gate, State
from loop_ros.control.shadow import Shadow
from loop_ros.control.trial import WeightsTrial
from loop_ros.settings import PlannerSettings
from loop_ros.types import Array, Plan

if TYPE_CHECKING:
    from loop_ros.agent import Agent

Observer = Callable[['Agent', State, Plan], None]


class PlanWorker(AgentThread):
    """Newest state in, its plan to the gate; weights and settings change between plans."""

    def __init__(
        self,
        gate: Gate,
        trial: WeightsTrial,
        warn: Callable[[str, str], None],
        explore: bool = False,
        shadow: Shadow | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """`warn` is told a subject and a text, in the planner thread.

        So is each of the `observers` every plan, with the agent that made it and the state that it
        answers, once the robot has its command; what they take of the period is missing elsewhere.
        In real time the actor is asked before each plan, to have its answer if needed. With a
        shadow another controller drives, whose actions come by `watch_other`.
        """
        super().__init__('planner')
        self.version = 0  # of the weights in use
        self.device = ''  # that plans
        self.verdict = 'none so far'  # of the last trial of weights
        self._gate, self._trial, self._warn = gate, trial, warn
        self._explore, self._shadow, self._observers = explore, shadow, observers
        # s without a state, after which weights are tried at once
        self._patience = 2 * gate.supervisor.limits.wall_period
        self._changed = threading.Condition()
        self._next: State | None = None  # newest state not yet taken up
        self._jobs: dict[str, Callable[[Agent], None]] = {}  # for before a plan, by kind
        self._weights: bytes | None = None  # for after one
        self._planned = 0  # control period of the last plan

    def start(self, make_agent: Callable[[], Agent]) -> None:
        """Make the agent in the planner thread; raises what `make_agent` raises."""
        self._next = self._weights = None
        self._jobs.clear()
        super().start(make_agent)

    def stop(self, timeout: float = 3.0) -> None:
        """End the thread after the plan it works on."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join(timeout)

    def plan(self, state: State) -> None:
        """Plan from a state next, instead of an older one that still waits."""
        with self._changed:
            if self._next is not None and self._next.restart:
                state = state._replace(restart=True)
            self._next = state
            self._changed.notify()

    def configure(self, settings: PlannerSettings) -> None:
        """Use these settings from the next plan on."""
        self._later('settings', lambda agent: agent.configure(settings))

    def load_weights(self, data: bytes) -> None:
        """Try these weights after the next plan, when the one after that is furthest away."""
        with self._changed:
            self._weights = data
            self._changed.notify()

    def refuse_weights(self, reason: object) -> None:
        """Say why other weights are not taken."""
        self.verdict = f'refused: {reason}'
        self._warn('weights', f'weights refused, version {self.version} stays: {reason}')

    def watch_other(self, action: Array) -> None:
        """As a shadow: what the other controller answers to the newest state."""
        state, shadow = self._gate.newest, self._shadow
        if shadow is not None and state is not None and shadow.observe(state.stamp, action):
            self._gate.executed_elsewhere(action, state.stamp)
            self._later('difference', shadow.compare)

    def _begin(self, agent: Agent) -> None:
        self._trial.begin()
        self._use(agent)

    def _work(self, agent: Agent) -> None:
        while self._is_running():
            state, jobs = self._wait()
            for job in jobs:
                job(agent)
            if state is not None and self._is_running():
                agent = self._plan(agent, state)
            self._try_weights(agent)

    def _wait(self) -> tuple[State | None, list[Callable[[Agent], None]]]:
        """Until there is something to do; the state to plan from, and what comes before."""
        with self._changed:
            while self._is_running() and not (self._next or self._jobs):
                if not self._changed.wait(self._patience if self._weights else None):
                    break  # no state has come for long
            state, self._next = self._next, None
            jobs, self._jobs = self._jobs, {}
        return state, list(jobs.values())

    def _plan(self, agent: Agent, state: State) -> Agent:
        """Plan and hand the plan over; the agent for the next time, which may have moved."""
        assert state.observation is not None
        supervisor = self._gate.supervisor
        if state.restart:
            agent.reset()
        else:
            agent.planner.skip(max(0, state.number - self._planned - 1))
        self._planned = state.number
        if supervisor.realtime:
            self._gate.keep_actor(state, agent.act_without_planning(state.observation))
        predict_next = supervisor.limits.distrust_steps > 0  # else nothing is compared
        try:
            plan = agent.act(state.observation, self._explore, predict_next)
        except torch.OutOfMemoryError as error:
            if agent.device.type == 'cpu':
                raise
            self._warn('device', f'planning resumes on the CPU: {error}')
            agent = agent.on_cpu()
            self._use(agent)
            plan = agent.act(state.observation, self._explore, predict_next)
        if self._shadow is not None:
            self._shadow.keep_plan(state.stamp, state.observation, plan)
            self._shadow.compare(agent)
        self._gate.answer(state, plan)
        for observe in self._observers:
            observe(agent, state, plan)
        return agent

    def _try_weights(self, agent: Agent) -> None:
        """Take new weights where they are no worse; else see whether the last ones still are."""
        with self._changed:
            weights, self._weights = self._weights, None
        refusal: ValueError | None = None
        try:
            if weights is not None:
                plan_s = self._gate.statistics.plan_s()
                self._trial.take(agent, weights, self._gate.recent(), plan_s)
                self.verdict = f'version {agent.version} taken'
            elif self._trial.is_pending:
                self._trial.review(agent, self._gate.recent())
        except NotFiniteError as error:
            self._gate.latch('weights are not finite')
            refusal = error
        except ValueError as error:
            refusal = error
        self._use(agent)
        if refusal is not None:
            self.refuse_weights(refusal)

    def _is_running(self) -> bool:
        return self._thread is threading.current_thread()

    def _use(self, agent: Agent) -> None:
        self.version, self.device = agent.version, str(agent.device)

    def _later(self, kind: str, job: Callable[[Agent], None]) -> None:
        """For the planner thread, before its next plan; the newest of a kind counts."""
        with self._changed:
            self._jobs[kind] = job
            self._changed.notify()
