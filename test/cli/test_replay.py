# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros replay as a command: its last line, its page, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import tiny
import vehicle
from bag_files import write_bag
from html_page import Page, assert_loads_nothing

from loop_ros.agent import Agent
from loop_ros.bags.writer import BagWriter
from loop_ros.cli.main import main
from loop_ros.runner import run_episode
from loop_ros.sim import registry
from loop_ros.types import Transition

EPISODES, STEPS = 2, 30


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('agent')
    tiny.trained(60).save(folder)
    return folder


def write(path: Path, transitions: list[Transition]) -> Path:
    with BagWriter(path, tiny.TASK) as bag:
        for transition in transitions:
            bag.write(transition)
    return path


def driven(agent: Agent) -> list[Transition]:
    """Some short episodes."""
    env = gymnasium.wrappers.TimeLimit(registry.make('drift_car'), STEPS)
    found: list[Transition] = []
    for index in range(EPISODES):
        run_episode(env, agent, index, seed=index, on_transition=found.append)
    return found


@pytest.fixture(scope='module')
def own_bag(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded while the checkpoint's own planner drove, with seed 0."""
    agent = Agent.load(checkpoint, tiny.TASK)
    return write(tmp_path_factory.mktemp('own') / 'bag', driven(agent))


@pytest.fixture(scope='module')
def random_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Driven at random: 100 steps, then 20."""
    return write(tmp_path_factory.mktemp('random') / 'bag', tiny.transitions(120))


def run(
    capsys: pytest.CaptureFixture[str], bag: Path, agent: Path, out: Path, *more: str
) -> dict[str, Any]:
    words = ['replay', str(bag), '--checkpoint', str(agent), '--out', str(out), '--json', *more]
    assert main(words) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_the_planner_itself_recorded_is_no_difference(
    checkpoint: Path, own_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same seed draws the same samples, so that warm start and resets must be right, too."""
    out = tmp_path / 'replay.html'
    found = run(capsys, own_bag, checkpoint, out)
    assert found['plans'] == found['steps'] > 0
    assert found['episodes'] == EPISODES
    assert (found['mean_distance'], found['different'], found['largest']) == (0.0, 0, [])
    assert 'None: every plan is what was done.' in out.read_text()
    other = run(capsys, own_bag, checkpoint, out, '--seed', '1')
    assert other['mean_distance'] > 0
    assert len(other['largest']) > 0


def test_an_actor_alone_predicts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = tiny.trained(60, planner__algorithm='actor')
    agent.save(tmp_path / 'agent')
    bag = write(tmp_path / 'bag', driven(agent))
    found = run(capsys, bag, tmp_path / 'agent', out := tmp_path / 'replay.html')
    assert found['mean_distance'] == 0.0
    for name in ('worst_predicted_cost', 'predicted_return', 'with_safe_share', 'model_error'):
        assert found[name] is None
    text = out.read_text()
    assert 'acts without planning' in text
    assert 'recorded cost' in text
    assert 'predicted return of the plan' not in text


@pytest.mark.slow
def test_another_d0_changes_what_is_safe(
    checkpoint: Path, random_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'replay.html'
    strict, lax = (
        run(capsys, random_bag, checkpoint, out, '--d0', d0, '--every', '5') for d0 in ('0', '1000')
    )
    assert (strict['d0'], lax['d0']) == (0.0, 1000.0)
    assert strict['with_safe_share'] < lax['with_safe_share'] == lax['safe_fraction'] == 1.0
    assert strict['over_d0'] > lax['over_d0'] == 0
    set_otherwise = run(
        capsys, random_bag, checkpoint, out, '--set', 'planner.d0=1000', '--every', '5'
    )
    assert set_otherwise == lax


def test_a_bag_with_topics_of_its_own(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vehicle.robot(tmp_path)
    messages = [*vehicle.states(100, 2.0), *vehicle.commands((0.0, 1.0))]
    bag = write_bag(tmp_path / 'bag', sorted(messages, key=lambda message: message[2]))
    out, file = tmp_path / 'page.html', tmp_path / 'robot.yaml'
    found = run(capsys, bag, checkpoint, out, '--robot', str(file))
    assert found['steps'] > 50
    assert f'--robot {file}' in out.read_text()


def test_the_page_has_all_episodes_and_loads_nothing(
    checkpoint: Path, random_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'deep' / 'replay.html'
    found = run(capsys, random_bag, checkpoint, out, '--largest', '5')
    text = out.read_text(encoding='utf-8')
    page = Page(text)
    assert_loads_nothing(text, page)
    assert '120 transitions in 2 episodes from 1 bag' in text
    assert page.texts['h3'] == ['Episode 0: 100 steps', 'Episode 1: 20 steps']
    figures = [json.loads(s) for s in page.texts['script'] if s.startswith('{"data"')]
    maps, figures = figures[::2], figures[1::2]  # each episode's line, then its panels
    for drawn, steps in zip(maps, (100, 20), strict=True):
        assert len(drawn['data'][0]['x']) == steps
        assert drawn['data'][1]['name'].startswith('plans that differ')
    for figure, steps in zip(figures, (100, 20), strict=True):
        by_name = {trace['name']: trace for trace in figure['data']}
        assert len(by_name['planned']['x']) == len(by_name['recorded']['y']) == steps
        assert {'reward', 'worst predicted', 'safe share', 'model error'} <= by_name.keys()
        titles = [each['text'] for each in figure['layout']['annotations']]
        assert 'wheel_speed (velocity)' in titles and 'steering (position)' in titles
    # The listed differences link to their episode, and are marked by their number there.
    assert len(found['largest']) == 5
    rows = [row for row in page.rows if len(row) == 11]
    assert [row[0] for row in rows[1:]] == ['1', '2', '3', '4', '5']
    links = [a['href'] for _, a in page.tags if 'href' in a]
    for rank, (row, each) in enumerate(zip(rows[1:], found['largest'], strict=True), 1):
        assert row[1:3] == [str(each['episode']), str(each['step'])]
        assert links[rank - 1] == f'#episode-{each["episode"]}'
        marks = figures[each['episode']]['layout']['annotations']
        (mark,) = [mark for mark in marks if mark['text'] == str(rank)]
        assert mark['x'] == pytest.approx(each['time_s'])


def test_the_first_part_of_the_bags(
    checkpoint: Path, random_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'replay.html'
    found = run(capsys, random_bag, checkpoint, out, '--steps', '103', '--every', '10')
    assert (found['episodes'], found['steps'], found['plans']) == (2, 103, 11)
    assert 'Episode 1: 3 steps, cut there' in out.read_text()
    assert 'The first 103 steps' in out.read_text()
    found = run(capsys, random_bag, checkpoint, out, '--episodes', '1', '--every', '10')
    assert (found['episodes'], found['steps'], found['plans']) == (1, 100, 10)
    assert 'cut there' not in out.read_text()


def test_a_broken_bag_is_replayed_up_to_the_damage(
    checkpoint: Path, random_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = Path(shutil.copytree(random_bag, tmp_path / 'cut'))
    (file,) = bag.glob('*.mcap')
    whole = file.read_bytes()
    file.write_bytes(whole[:-2500])  # all behind the chunk
    out = tmp_path / 'replay.html'
    found = run(capsys, bag, checkpoint, out, '--every', '20')
    assert found['steps'] == 120
    assert 'read up to its last whole message' in out.read_text()
    # The one chunk that is there ends too early.
    file.write_bytes(whole[: len(whole) // 2])
    assert main(['replay', str(bag), '--checkpoint', str(checkpoint), '--out', str(out)]) == 2
    error = capsys.readouterr().err
    assert "no topic 'transition'" in error
    assert 'read up to its last whole message' in error


def test_what_cannot_be_replayed_is_refused_in_words(
    checkpoint: Path, random_bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'replay.html'

    def refused(*words: str) -> str:
        assert main(['replay', *words]) == 2
        assert not out.is_file()
        return capsys.readouterr().err

    this, page = ('--checkpoint', str(checkpoint)), ('--out', str(out))
    empty = write(tmp_path / 'empty', [])
    error = refused(str(empty), *this, *page)
    assert str(empty) in error and "no topic 'transition'" in error
    assert 'no bag in' in refused(str(checkpoint), *this, *page)
    error = refused(str(random_bag), *this, *page, '--task', 'Hopper')
    assert f"{checkpoint}: a checkpoint of task 'drift_car', not of 'Hopper'" in error
    assert '--task' in error
    error = refused(str(random_bag), '--checkpoint', 'shipped', *page)
    assert '--task' in error
    error = refused(str(random_bag), *this, '--out', str(tmp_path))
    assert f'--out {tmp_path}: is a folder' in error
    Agent(tiny.TASK, tiny.settings()).save(tmp_path / 'untrained')
    error = refused(str(random_bag), '--checkpoint', str(tmp_path / 'untrained'), *page)
    assert 'untrained' in error
    hopper = registry.task('Hopper')
    zeros = np.zeros(len(hopper.observation_labels))
    with BagWriter(tmp_path / 'hopper', hopper) as bag:
        bag.write(Transition(0.0, 0, 0, zeros, np.zeros(3), 0.0, 0.0, zeros, False, True))
    error = refused(str(tmp_path / 'hopper'), *this, *page)
    assert "no transition of task 'drift_car'" in error
