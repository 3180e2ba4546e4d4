# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learner thread: only it touches the agent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from loop_ros.agent import Agent
from loop_ros.control.agent_thread import AgentThread
from loop_ros.control.intake import Intake, Source
from loop_ros.types import Transition

LONG_BACKLOG = 500  # transitions; from there on a training of the ensemble ends early
ERROR_PERIOD = 1.0  # s between two looks at the errors of the models


class LearnWorker(AgentThread):
    """Transitions in, weights out; intake never waits for learning.

    `on_weights` is called in the learner thread with a safetensors file: at the start where there
    is a trained model, after each training of the ensemble, and every `publish_period` s between.
    """

    def __init__(
        self,
        folder: Path | None,
        save_period: float,
        publish_period: float,
        on_weights: Callable[[bytes], None],
        on_error: Callable[[str], None],
        intake: Intake | None = None,
    ) -> None:
        """Save into `folder` every `save_period` s and at the end; None: nowhere.

        `intake` has the robots whose transitions come; None: one without a name.
        """
        super().__init__('learner')
        self.intake = Intake() if intake is None else intake
        self.report: dict[str, float] = {}  # the last of each loss
        self.version = 0
        self.not_saved = ''  # why the last save failed
        self._folder, self._save_period = folder, save_period
        self._publish_period = publish_period
        self._on_weights, self._on_error = on_weights, on_error
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._published_steps = self._saved_steps = 0

    def put(self, transition: Transition, name: str = '') -> bool:
        """Queue a transition of a robot, at once; false where too many of it wait."""
        taken = self.intake.put(name, transition)
        self._arrived.set()
        return taken

    def stop(self, timeout: float) -> bool:
        """Take what is queued into the buffer, save, end; false where that took too long."""
        self._stopping.set()
        self._arrived.set()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _begin(self, agent: Agent) -> None:
        self._saved_steps = agent.num_steps
        if agent.ready:
            self._publish(agent)
        self._saved_at = self._measured_at = time.monotonic()

    def _work(self, agent: Agent) -> None:
        while not self._stopping.is_set():
            self._arrived.wait(0.5)
            self._arrived.clear()
            self._learn(agent)
            self._save_if_due(agent)
        while self.intake.backlog:
            self._observe(agent, *self.intake.take())
        self._save(agent)

    def _learn(self, agent: Agent) -> None:
        while self.intake.backlog and not self._stopping.is_set():
            self._catch_up(agent)
            observed = self._observe(agent, *self.intake.take())
            self._measure_if_due(agent)
            if not observed:
                continue
            self.report = self.report | agent.update(self._hurried)
            if agent.ready and (agent.version != self.version or self._publish_due()):
                self._publish(agent)
            self._save_if_due(agent)

    def _catch_up(self, agent: Agent) -> None:
        """Take what is beyond the longest backlog into the replay buffer."""
        for source, transition in self.intake.take_surplus(time.monotonic()):
            source.skipped += self._observe(agent, source, transition)

    def _hurried(self) -> bool:
        """Whether a training of the ensemble should end early: at the end, or to catch up."""
        return self._stopping.is_set() or self.intake.lag > LONG_BACKLOG

    def _observe(self, agent: Agent, source: Source, transition: Transition) -> bool:
        """Whether there is something to learn from it."""
        if source.name in self.intake.left_out:
            source.left_out += 1
            if transition.is_finite():
                source.fresh.append(transition)
            return False
        try:
            agent.observe(transition)
        except ValueError as error:
            source.unusable += 1
            self._on_error(f'{source.name}: {error}' if source.name else str(error))
            return False
        source.learned += 1
        source.fresh.append(transition)
        return True

    def _measure_if_due(self, agent: Agent) -> None:
        """Errors of the models in what came since the last look, most of it not learned yet."""
        if time.monotonic() - self._measured_at < ERROR_PERIOD or not agent.ready:
            return
        self._measured_at = time.monotonic()
        sources = [source for source in self.intake.sources.values() if source.fresh]
        if not sources:
            return
        errors = iter(agent.model_errors([t for source in sources for t in source.fresh]).tolist())
        for source in sources:
            source.keep_errors(islice(errors, len(source.fresh)))
            source.fresh.clear()

    def _publish_due(self) -> bool:
        return time.monotonic() - self._published_at >= self._publish_period

    def _publish(self, agent: Agent) -> None:
        self._published_at = time.monotonic()
        self.version = agent.version
        self._on_weights(agent.weights())

    def _save_if_due(self, agent: Agent) -> None:
        if time.monotonic() - self._saved_at >= self._save_period:
            self._save(agent)

    def _save(self, agent: Agent) -> None:
        self._saved_at = time.monotonic()
        if self._folder is None or agent.num_steps == self._saved_steps:
            return
        try:
            agent.save(self._folder, buffer=True)
            self._saved_steps, self.not_saved = agent.num_steps, ''
        except OSError as error:
            self.not_saved = f'not saved: {error}'
            self._on_error(self.not_saved)
