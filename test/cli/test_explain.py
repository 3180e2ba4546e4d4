# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros explain: what its page says of an event; and maps of where plans differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tiny
from flight import Flight, write_stopped
from html_page import Page, assert_loads_nothing

from loop_ros.agent import Agent
from loop_ros.cli.explain import alternatives
from loop_ros.cli.main import main
from loop_ros.cli.places import planned_path, positions
from loop_ros.cli.replay_episodes import Recording, Replayed, replay
from loop_ros.cli.report.map_figure import MOST, Departures, draw
from loop_ros.cli.report.replay_figures import draw_map
from loop_ros.cli.snapshot_summary import before, prediction_errors, spans
from loop_ros.control.supervisor import PLAN, STOP
from loop_ros.snapshots import files
from loop_ros.snapshots.files import Snapshot
from loop_ros.snapshots.rerun import Replanner
from loop_ros.types import Transition

STEPS = 10


@pytest.fixture(scope='module')
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stopped(tmp_path_factory.mktemp('snapshots') / 'stop', STEPS, after=2)


@pytest.fixture(scope='module')
def snapshot(stopped: Path) -> Snapshot:
    return files.read(stopped)


def explained(folder: Path, out: Path, *options: str) -> tuple[str, Page]:
    assert main(['explain', str(folder), '--out', str(out), *options]) == 0
    text = out.read_text(encoding='utf-8')
    return text, Page(text)


def test_the_page_says_what_happened(stopped: Path, tmp_path: Path) -> None:
    text, page = explained(stopped, tmp_path / 'page.html', '--d0', '0', '0.2', '3')
    assert_loads_nothing(text, page)
    said = ' '.join(page.texts['p'])
    assert 'the robot was stopped: operator stop.' in said
    assert f'{STEPS} of {STEPS} commands were fresh plans, and 0 control periods' in said
    assert f'For this page {STEPS} plans were made again: all are the same, bit for bit.' in said
    assert page.texts['h1'] == ['drift_car: the robot was stopped']
    assert ['plan', f'planning ({STEPS} commands in'] in [
        [row[1], row[2].rpartition(' ')[0].rpartition(' ')[0]] for row in page.rows if len(row) == 3
    ]
    thresholds = [row[0] for row in page.rows if len(row) == 8]
    assert thresholds == ['d0', '0', '0.2, as it was', '3']
    figures = [a['data-figure'] for _, a in page.tags if a.get('class') == 'plot']
    assert figures == ['figure-1', 'figure-2', 'map']


def test_an_empty_snapshot_is_explained_too(tmp_path: Path) -> None:
    folder = Flight(tiny.trained()).write(tmp_path / 'snapshot')
    _, page = explained(folder, tmp_path / 'page.html')
    assert 'Nothing was planned before it.' in ' '.join(page.texts['p'])


def test_what_is_wrong_is_said(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['explain', str(stopped), '--out', str(stopped)]) == 2
    assert 'is a folder' in capsys.readouterr().err
    assert main(['explain', str(stopped), '--out', str(stopped / 'p.html'), '--d0', '-1']) == 2
    assert 'each d0 is a finite number from 0' in capsys.readouterr().err


def test_at_the_threshold_of_then_nothing_differs(snapshot: Snapshot) -> None:
    rows = before(snapshot, 10.0)
    assert rows == list(range(STEPS))  # those of the stop come after it
    found = alternatives(Replanner(snapshot), rows, None)
    assert found.thresholds == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert found.rows == rows and found.differs(snapshot, 2) == []


def test_commands_of_one_level_and_reason_are_one_span(snapshot: Snapshot) -> None:
    found = [(span.level, span.reason, span.commands) for span in spans(snapshot)]
    assert found == [(PLAN, 'planning', STEPS), (STOP, 'operator stop', 3)]
    assert spans(snapshot)[0].end < 0.01


def test_prediction_errors_are_in_deviations_of_plans_that_were_followed(
    snapshot: Snapshot,
) -> None:
    plans = snapshot.columns.plans
    found = prediction_errors(snapshot)
    assert np.isnan(found).tolist() == [True, *[False] * (STEPS - 1), False, True]
    off = plans.states[3, 0] - plans.next_state[2]
    assert found[3] == pytest.approx(np.abs(off / plans.next_std[2]).max())


def test_a_map_draws_places_in_metres() -> None:
    """On the circle of 1 m: the car of the test is at (1, 0); its plan starts there."""
    (place,) = positions(tiny.TASK, tiny.OBSERVATION[np.newaxis])
    np.testing.assert_allclose(place, [1.0, 0.0], atol=1e-6)
    plan = tiny.trained().act(tiny.OBSERVATION)
    path = planned_path(tiny.TASK, tiny.OBSERVATION, plan.states)
    assert path.shape == (4, 2)
    np.testing.assert_allclose(path[0], [1.0, 0.0], atol=1e-6)
    still = dataclasses.replace(tiny.TASK, path=None)
    assert len(positions(still, tiny.OBSERVATION[np.newaxis])) == 0


def test_a_map_holds_so_many_plans_at_most_and_breaks_between_them() -> None:
    driven = np.array([[0.0, 0.0], [1.0, 0.0]])
    paths = [np.array([[0.0, number], [1.0, number]]) for number in range(100)]
    figure = draw('map', '', driven, [Departures('all', '#000000', paths)], [(driven[1], 'here')])
    line, plans, mark = figure.drawn.data
    assert list(line.x) == [0.0, 1.0] and list(mark.text) == ['here']
    assert len(plans.y) == 3 * MOST and plans.y[2] is None
    assert (plans.y[0], plans.y[-2]) == (0.0, 99.0)


def test_a_replay_draws_the_plans_that_differ(tmp_path: Path) -> None:
    agent = tiny.trained()
    agent.save(tmp_path)
    transitions = tiny.transitions(6)
    followed = Agent.load(tmp_path, tiny.TASK)
    plan = replay(followed, Recording(0, transitions), every=1)
    same = [
        dataclasses.replace(transition, action=plan.planned[row])
        for row, transition in enumerate(transitions)
    ]
    opposite = dataclasses.replace(same[2], action=_far(plan.planned[2]))
    assert draw_map(_again(tmp_path, same), {}) is None
    figure = draw_map(_again(tmp_path, [*same[:2], opposite, *same[3:]]), {2: 1})
    assert figure is not None
    line, plans, mark = figure.drawn.data
    assert len(line.x) == 6 and plans.name == 'plans that differ (1)'
    assert len(plans.x) == 5 and list(mark.text) == ['1']  # H + 1 places and the break


def _again(folder: Path, transitions: list[Transition]) -> Replayed:
    return replay(Agent.load(folder, tiny.TASK), Recording(0, transitions), every=1)


def _far(action: np.ndarray) -> np.ndarray:
    """An action half a range away or more."""
    low, high = np.array(tiny.TASK.action_low), np.array(tiny.TASK.action_high)
    return np.where(action > (low + high) / 2, low, high)
