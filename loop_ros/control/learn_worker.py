# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learner thread: only it touches the agent."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from loop_ros.agent import Agent
from loop_ros.control.agent_thread import AgentThread
from loop_ros.types import Transition

LONG_BACKLOG = 500  # transitions; from there on a training of the ensemble ends early
# From there on transitions are kept for later batches without updates of their own: a learner that
# is too slow would else learn from what happened ever longer ago.
SKIPPED_BACKLOG = 2_000
LARGEST_BACKLOG = 100_000  # transitions, about 100 MiB; an hour of a robot at 28 Hz


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
    ) -> None:
        """Save into `folder` every `save_period` s and at the end; None: nowhere."""
        super().__init__('learner')
        self.learned = 0  # transitions since the start
        self.skipped = 0  # of these, those that are kept without an update
        self.report: dict[str, float] = {}  # the last of each loss
        self.version = 0
        self.not_saved = ''  # why the last save failed
        self._folder, self._save_period = folder, save_period
        self._publish_period = publish_period
        self._on_weights, self._on_error = on_weights, on_error
        self._queue: deque[Transition] = deque()
        self._arrived = threading.Event()
        self._stopping = threading.Event()
        self._published_steps = self._saved_steps = 0

    @property
    def backlog(self) -> int:
        """Transitions that wait to be learned."""
        return len(self._queue)

    def put(self, transition: Transition) -> bool:
        """Queue a transition, at once; false where too many wait."""
        if self.backlog >= LARGEST_BACKLOG:
            return False
        self._queue.append(transition)
        self._arrived.set()
        return True

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
        self._saved_at = time.monotonic()

    def _work(self, agent: Agent) -> None:
        while not self._stopping.is_set():
            self._arrived.wait(0.5)
            self._arrived.clear()
            self._learn(agent)
            self._save_if_due(agent)
        while self._queue:
            self._observe(agent, self._queue.popleft())
        self._save(agent)

    def _learn(self, agent: Agent) -> None:
        while self._queue and not self._stopping.is_set():
            self._catch_up(agent)
            if not self._observe(agent, self._queue.popleft()):
                continue
            self.report = self.report | agent.update(self._hurried)
            if agent.ready and (agent.version != self.version or self._publish_due()):
                self._publish(agent)
            self._save_if_due(agent)

    def _catch_up(self, agent: Agent) -> None:
        """Take what is beyond the longest backlog into the replay buffer."""
        for _ in range(self.backlog - SKIPPED_BACKLOG):
            self._observe(agent, self._queue.popleft())
            self.skipped += 1

    def _hurried(self) -> bool:
        """Whether a training of the ensemble should end early: at the end, or to catch up."""
        return self._stopping.is_set() or self.backlog > LONG_BACKLOG

    def _observe(self, agent: Agent, transition: Transition) -> bool:
        try:
            agent.observe(transition)
        except ValueError as error:
            self._on_error(str(error))
            return False
        self.learned += 1
        return True

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
