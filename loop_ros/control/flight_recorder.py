# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the robot and its planner did in the last minute, in memory; and when that is worth keeping.

States, commands and plans are kept as they are: recording appends references and copies nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from loop_ros.control.gate import State
from loop_ros.control.supervisor import ACTOR, DISTRUST, HOLD, LEAVING, SILENCE, STOP, Command
from loop_ros.types import Plan

if TYPE_CHECKING:
    import torch

    from loop_ros.agent import Agent
    from loop_ros.settings import PlannerSettings

SECONDS = 60.0  # that are kept
MOST = 6000  # states, and plans, that are kept: a minute at 100 Hz
MOST_WEIGHTS = 8  # versions that are kept, beside the one that the agent began with
BURST = 5  # periods missed within BURST_S (s) or BURST_PERIODS are worth a snapshot
BURST_S, BURST_PERIODS = 1.0, 10

# Why a snapshot is written.
KINDS = ('stop', 'hold', 'distrust', 'refused_weights', 'missed_periods', 'asked')


class Trigger(NamedTuple):
    """Something happened that a person will want to look into."""

    kind: str  # of KINDS
    reason: str
    time: int  # ns, steady clock

    @property
    def subject(self) -> str:
        """What two triggers of the same cause share: numbers and names stand behind a colon."""
        return f'{self.kind}: {self.reason.partition(":")[0]}'


class WeightsFile:
    """The file of one version of the weights, as long as there is room for it."""

    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data


class Received(NamedTuple):
    """A state of the robot."""

    time: int  # ns, steady clock
    state: State


class Sent(NamedTuple):
    """A command."""

    time: int  # ns, steady clock
    state: State  # that it answers
    command: Command
    missed: int  # control periods without a fresh plan in time, so far


class Planned(NamedTuple):
    """A plan and all that it takes to make it again."""

    time: int  # ns, steady clock
    state: State
    plan: Plan
    settings: PlannerSettings
    weights: WeightsFile
    device: torch.device


class Recording(NamedTuple):
    """What the recorder held at a moment, oldest first."""

    states: list[Received]
    commands: list[Sent]
    executed: list[Received]  # actions by the robot's own word, or another controller's
    plans: list[Planned]
    triggers: list[Trigger]
    to_wall_clock: int  # ns, to be added to its times


class _Timed(Protocol):
    @property
    def time(self) -> int: ...


Item = TypeVar('Item', bound=_Timed)


class _Ring(deque[Item], Generic[Item]):
    """The items of the last SECONDS."""

    def add(self, item: Item) -> None:
        self.append(item)
        while item.time - self[0].time > SECONDS * 1e9:
            self.popleft()


class FlightRecorder:
    """Always on, bounded in time, number and weights; every method may be called in any thread."""

    def __init__(
        self,
        wall_period: float,
        weights: Callable[[], bytes | None],
        on_trigger: Callable[[Trigger], None],
        is_on: bool = True,
    ) -> None:
        """`wall_period` (s) is the control period.

        `weights` gives the file of the weights in use, None for those that the agent began with;
        it is called in the planner thread. `on_trigger` is called in whatever thread something
        happens in, and must be quick. Where it is not `is_on` nothing is kept.
        """
        self.paused = False  # the robot says that no states are to be expected
        self._weights, self._on_trigger, self._is_on = weights, on_trigger, is_on
        self._burst_ns = max(BURST_S, BURST_PERIODS * wall_period) * 1e9
        self._lock = threading.Lock()
        self._states: _Ring[Received] = _Ring(maxlen=MOST)
        self._commands: _Ring[Sent] = _Ring(maxlen=2 * MOST)  # a state may be answered twice
        self._executed: _Ring[Received] = _Ring(maxlen=MOST)
        self._plans: _Ring[Planned] = _Ring(maxlen=MOST)
        self._triggers: _Ring[Trigger] = _Ring(maxlen=MOST)
        self._files: deque[WeightsFile] = deque()
        self._last = (STOP, '')  # level and reason of the last command
        self._missed, self._in_burst = 0, False
        self._misses: deque[int] = deque(maxlen=BURST)  # ns

    def begin(self, agent: Agent) -> None:
        """An agent is there: nothing that another one planned is kept."""
        if not self._is_on:
            return
        with self._lock:
            for ring in (self._states, self._commands, self._executed, self._plans):
                ring.clear()
            self._files.clear()
            self._began_with = WeightsFile(agent.weights())

    def keep_state(self, state: State) -> None:
        """A state came."""
        if not self._is_on:
            return
        with self._lock:
            self._states.add(Received(time.monotonic_ns(), state))

    def keep_executed(self, state: State) -> None:
        """What was done in a state came, `observation` being the action."""
        if not self._is_on:
            return
        with self._lock:
            self._executed.add(Received(time.monotonic_ns(), state))

    def keep_command(self, state: State, command: Command, missed: int) -> None:
        """A command went out; `missed` control periods so far had no fresh plan in time."""
        if not self._is_on:
            return
        now = time.monotonic_ns()
        with self._lock:
            self._commands.add(Sent(now, state, command, missed))
            level, reason = command.level, command.reason
            last_level, last_reason = self._last
            self._last = level, reason
            is_burst = missed != self._missed and self._is_burst(now, missed)
        if is_burst:
            periods = f'{BURST} control periods in {self._burst_ns / 1e9:g} s had no plan in time'
            self.trigger('missed_periods', periods, now)
        if (level, reason) == (last_level, last_reason):
            return
        if level == STOP:
            is_expected = reason == LEAVING or (self.paused and reason.startswith(SILENCE))
            is_new = last_level != STOP or last_reason.startswith(SILENCE)
            if is_new and self._states and not is_expected:
                self.trigger('stop', reason, now)
        elif level == HOLD and last_level != HOLD:
            self.trigger('hold', reason, now)
        elif level == ACTOR and reason.startswith(DISTRUST):
            self.trigger('distrust', reason, now)

    def keep_plan(self, agent: Agent, state: State, plan: Plan) -> None:
        """A plan was made; called in the planner thread."""
        if not self._is_on:
            return
        data = self._weights()
        with self._lock:
            kept = self._began_with if data is None else self._file(data)
            settings, device = agent.settings.planner, agent.device
            self._plans.add(Planned(time.monotonic_ns(), state, plan, settings, kept, device))

    def trigger(self, kind: str, reason: str, now: int | None = None) -> None:
        """Something happened, at a time on the steady clock (ns) where it is not now."""
        if self._is_on:
            self._on_trigger(self._keep_trigger(kind, reason, now or time.monotonic_ns()))

    def ask(self) -> Trigger:
        """Somebody asks for a snapshot."""
        return self._keep_trigger('asked', 'by ~/snapshot', time.monotonic_ns())

    def _keep_trigger(self, kind: str, reason: str, now: int) -> Trigger:
        found = Trigger(kind, reason, now)
        with self._lock:
            self._triggers.add(found)
        return found

    def recording(self) -> Recording:
        """What is held now."""
        with self._lock:
            return Recording(
                list(self._states),
                list(self._commands),
                list(self._executed),
                list(self._plans),
                list(self._triggers),
                time.time_ns() - time.monotonic_ns(),
            )

    def _file(self, data: bytes) -> WeightsFile:
        """The weights of a file that may have been there before; the oldest make room."""
        for known in reversed(self._files):
            if known.data is data:
                return known
        self._files.append(WeightsFile(data))
        if len(self._files) > MOST_WEIGHTS:
            self._files.popleft().data = None
        return self._files[-1]

    def _is_burst(self, now: int, missed: int) -> bool:
        """Whether too many periods were missed lately, for the first time since they were not."""
        self._misses.extend([now] * min(BURST, missed - self._missed))
        self._missed, was = missed, self._in_burst
        is_full = len(self._misses) == BURST
        self._in_burst = is_full and now - self._misses[0] <= self._burst_ns
        return self._in_burst and not was
