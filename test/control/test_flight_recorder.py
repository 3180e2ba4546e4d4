# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ring of the flight recorder, and what it takes for an event."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervised import make_plan

from loop_ros.control import flight_recorder
from loop_ros.control.flight_recorder import MOST_WEIGHTS, FlightRecorder, Trigger
from loop_ros.control.gate import State
from loop_ros.control.supervisor import (
    ACTOR,
    DISTRUST,
    HOLD,
    LEAVING,
    PLAN,
    SHIFTED,
    SILENCE,
    STOP,
    Command,
)

STATE = State(1, np.zeros(6))
PLANNING = (PLAN, 'planning')
SILENT = (STOP, f'{SILENCE} for 0.5 s')
OPERATOR = (STOP, 'operator stop')
DISTRUSTED = (ACTOR, f'{DISTRUST}: 5 states in a row')
AGENT: Any = SimpleNamespace(
    settings=SimpleNamespace(planner=None), device=None, weights=lambda: b'the first'
)


class Recorder:
    """One on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.now, self.triggers = 1e6, list[Trigger]()
        self.file: bytes | None = None
        monkeypatch.setattr(flight_recorder.time, 'monotonic_ns', lambda: round(self.now * 1e9))
        self.made = FlightRecorder(0.035, lambda: self.file, self.triggers.append, **options)
        self.made.begin(AGENT)

    def command(self, level: int, reason: str, missed: int = 0) -> None:
        self.now += 0.035
        self.made.keep_command(STATE, Command(level, np.zeros(2), reason, None), missed)

    def plan(self) -> None:
        self.made.keep_plan(AGENT, STATE, make_plan(0.0))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder(monkeypatch)
    found.made.keep_state(STATE)
    return found


@given(st.lists(st.floats(0, 40), max_size=40), st.integers(1, 20))
def test_the_ring_holds_the_last_minute_and_so_many_at_most(gaps: list[float], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flight_recorder, 'MOST', most)
        recorder, times = Recorder(patch), []
        for number, gap in enumerate(gaps):
            recorder.now += gap
            times.append(round(recorder.now * 1e9))
            recorder.made.keep_state(State(number, None))
        held = recorder.made.recording().states
    wanted = [time for time in times if times[-1] - time <= 60e9][-most:]
    assert [each.time for each in held] == wanted
    assert [each.state.stamp for each in held] == list(range(len(gaps)))[len(gaps) - len(wanted) :]


def test_weights_are_kept_for_so_many_versions_and_once_each(recorder: Recorder) -> None:
    files = [b'version %d' % number for number in range(MOST_WEIGHTS + 4)]
    recorder.plan()
    for file in files:
        recorder.file = file
        recorder.plan()
    recorder.file = files[-2]  # that one put back
    recorder.plan()
    plans = recorder.made.recording().plans
    assert [each.weights.data for each in plans] == [
        b'the first', *[None] * 4, *files[4:], files[-2]
    ]  # fmt: skip
    assert plans[-1].weights is plans[-3].weights


@pytest.mark.parametrize(
    ('commands', 'wanted'),
    [
        ([PLANNING, (SHIFTED, 'the plan is late'), PLANNING], []),
        ([PLANNING, OPERATOR, OPERATOR, PLANNING], ['stop']),
        ([PLANNING, SILENT, OPERATOR], ['stop', 'stop']),
        ([PLANNING, (HOLD, 'no plan yet'), (HOLD, 'late'), PLANNING], ['hold']),
        ([PLANNING, (HOLD, 'late'), SILENT], ['hold', 'stop']),
        ([PLANNING, DISTRUSTED, DISTRUSTED, PLANNING], ['distrust']),
        ([PLANNING, (ACTOR, 'the plan is late')], []),
        ([PLANNING, (STOP, LEAVING)], []),
        ([SILENT, PLANNING], []),  # the robot is not there yet
    ],
)
def test_what_is_an_event(
    recorder: Recorder, commands: list[tuple[int, str]], wanted: list[str]
) -> None:
    for level, reason in commands:
        recorder.command(level, reason)
    assert [trigger.kind for trigger in recorder.triggers] == wanted
    assert recorder.made.recording().triggers == recorder.triggers


def test_silence_that_was_announced_is_none(recorder: Recorder) -> None:
    recorder.made.paused = True
    for level, reason in (PLANNING, SILENT, PLANNING):
        recorder.command(level, reason)
    assert recorder.triggers == []
    recorder.command(*OPERATOR)
    assert [trigger.reason for trigger in recorder.triggers] == ['operator stop']


@pytest.mark.parametrize(
    ('gap', 'wanted'),
    [(0.1, 1), (0.2, 1), (0.4, 0)],  # s between 10 misses; 5 within 1 s are a burst
)
def test_a_burst_of_missed_periods_is_an_event(recorder: Recorder, gap: float, wanted: int) -> None:
    for missed in range(1, 11):
        recorder.now += gap - 0.035
        recorder.command(SHIFTED, 'the plan is late', missed)
    recorder.now += 60
    recorder.command(SHIFTED, 'the plan is late', 11)  # that one is over
    for missed in range(12, 12 + 5 * (wanted > 0)):
        recorder.command(SHIFTED, 'the plan is late', missed)
    wanted *= 2
    assert [trigger.kind for trigger in recorder.triggers] == ['missed_periods'] * wanted


def test_one_that_is_off_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch, is_on=False)
    recorder.made.keep_state(STATE)
    recorder.plan()
    recorder.command(*PLANNING)
    recorder.command(*OPERATOR)
    held = recorder.made.recording()
    assert not (held.states or held.commands or held.plans or recorder.triggers)
