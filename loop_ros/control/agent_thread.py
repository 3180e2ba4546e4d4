# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that makes an agent and works with it: only it touches the agent and its device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loop_ros.agent import Agent


class AgentThread:
    """Subclasses say what is done with the agent, in `_begin` and `_work`."""

    def __init__(self, name: str) -> None:
        self.failure: Exception | None = None  # what ended the work
        self._name = name
        self._thread: threading.Thread | None = None  # that works; one left behind ends by itself

    def start(self, make_agent: Callable[[], Agent]) -> None:
        """Make the agent in the thread; raises what `make_agent` raises."""
        self.failure = None
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(make_agent, ready), name=self._name, daemon=True
        )
        self._thread.start()
        ready.wait()
        if self.failure is not None:
            raise self.failure

    def _begin(self, agent: Agent) -> None:
        """What has to be done before `start` returns."""
        raise NotImplementedError

    def _work(self, agent: Agent) -> None:
        """Everything after that, until the subclass is told to stop."""
        raise NotImplementedError

    def _run(self, make_agent: Callable[[], Agent], ready: threading.Event) -> None:
        try:
            agent = make_agent()
            self._begin(agent)
            ready.set()
            self._work(agent)
        except Exception as error:  # the node's thread looks at it
            if self._thread in (None, threading.current_thread()):  # else another one took over
                self.failure = error
        finally:
            ready.set()
