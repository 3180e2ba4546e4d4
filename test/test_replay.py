# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros replay: what is planned again, what is counted, and what the page shows."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import tiny
import torch
from html_page import Page, assert_loads_nothing

from loop_ros.agent import Agent
from loop_ros.bags import BagWriter
from loop_ros.cli import replay_summary
from loop_ros.cli.main import main
from loop_ros.cli.replay_episodes import Recording, Replayed, model_errors, recordings, replay
from loop_ros.runner import run_episode
from loop_ros.sim import registry
from loop_ros.types import Transition

pytest.importorskip('plotly')
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
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
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
    assert len(figures) == 2
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


def transition(episode: int, step: int, **changes: Any) -> Transition:
    zeros = np.zeros(6)
    made = Transition(
        0.035 * step, episode, step, zeros, np.array([5.0, 0.0]), 0.0, 0.0, zeros, False, False
    )
    return dataclasses.replace(made, **changes)


def test_entangled_episodes_are_replayed_apart() -> None:
    end = {'truncated': True}
    mixed = [
        transition(0, 0), transition(1, 0), transition(0, 1, **end), transition(2, 0),
        transition(1, 1), transition(2, 1, **end), transition(1, 2, **end),
    ]  # fmt: skip

    def parts(episodes: int, steps: int) -> list[tuple[int, int, bool]]:
        found = recordings(iter(mixed), episodes, steps)
        return [(r.number, len(r.transitions), r.whole) for r in found]

    assert parts(9, 99) == [(0, 2, True), (2, 2, True), (1, 3, True)]
    assert parts(2, 99) == [(0, 2, True), (1, 3, True)]
    assert parts(1, 99) == [(0, 2, True)]
    assert parts(9, 5) == [(0, 2, True), (1, 2, False), (2, 1, False)]
    assert parts(9, 3) == [(0, 2, True), (1, 1, False)]


def test_states_between_plans_move_the_start(checkpoint: Path) -> None:
    """Every third state: what the plan before said of three steps later is where the next starts.

    Without noise and updates the plan is its start.
    """
    agent = Agent.load(checkpoint, tiny.TASK)
    still = {'mean_update': 0.0, 'horizon': 4}
    agent.configure(dataclasses.replace(agent.settings.planner, **still))
    start = torch.tensor([[0.1, 0.0], [0.2, 0.0], [0.3, 0.0], [0.4, 0.0]])
    agent.reset = lambda: setattr(agent.planner, '_last', start)  # type: ignore[method-assign]
    found = replay(agent, Recording(0, tiny.transitions(7)), every=3)
    assert found.has_plan.tolist() == [True, False, False, True, False, False, True]
    speeds = tiny.TASK.normalize_action(found.planned)[found.has_plan, 0]
    np.testing.assert_allclose(speeds, [0.2, 0.4, 0.4], atol=1e-6)


def test_costs_ahead_and_the_errors_of_the_model(checkpoint: Path) -> None:
    agent = Agent.load(checkpoint, tiny.TASK)
    planner = dataclasses.replace(agent.settings.planner, horizon=3, discount=0.5)
    agent.configure(planner)
    costs = [0.0, 1.0, 1.0, 0.0, 1.0]
    drive = [transition(0, step, cost=cost) for step, cost in enumerate(costs)]
    cut = replay(agent, Recording(0, drive), every=5)
    np.testing.assert_array_equal(cut.cost_ahead, [0.75, 1.5, 1.25, np.nan, np.nan])
    drive[-1] = dataclasses.replace(drive[-1], terminated=True)
    ended = replay(agent, Recording(0, drive), every=5)
    np.testing.assert_array_equal(ended.cost_ahead, [0.75, 1.5, 1.25, 0.5, 1.0])


def test_the_error_of_the_model_is_that_of_its_mean(checkpoint: Path) -> None:
    agent = Agent.load(checkpoint, tiny.TASK)
    (recorded,) = tiny.transitions(1)
    state = tiny.TASK.encode(torch.from_numpy(recorded.observation)).float()
    action = torch.as_tensor(tiny.TASK.normalize_action(recorded.action), dtype=torch.float32)
    with torch.no_grad():
        reached = agent.ensemble.predict(state.expand(2, 1, -1), action.expand(2, 1, -1)).next_state
    mean = reached.mean(dim=0)[0]
    off = mean.clone()
    off[-1] += 3.0 * agent.ensemble.inputs.std[tiny.TASK.state_dim - 1]
    encode = iter((state[None], mean[None], state[None], off[None]))
    agent.task = dataclasses.replace(agent.task, encode=lambda _: next(encode))
    right, apart = model_errors(agent, [recorded])
    wrong, _ = model_errors(agent, [recorded])
    assert right[0] == pytest.approx(0.0, abs=1e-6)
    assert wrong[0] == pytest.approx(3.0 / np.sqrt(tiny.TASK.state_dim), rel=1e-5)
    scale = agent.ensemble.inputs.std[: tiny.TASK.state_dim]
    half = (reached[0, 0] - reached[1, 0]) / 2 / scale  # two models: each is off by half
    assert apart[0] == pytest.approx(float(half.square().mean().sqrt()), rel=1e-4)


def made_up(number: int, distance: list[float], **columns: list[float]) -> Replayed:
    """One action that differs by half of its distance as a share of its range."""
    length = len(distance)
    names = [field.name for field in dataclasses.fields(Replayed)]
    values: dict[str, Any] = {name: np.full(length, np.nan) for name in names}
    values.update({name: np.array(column) for name, column in columns.items()})
    moved = np.array(distance)
    values.update(
        number=number, whole=True, diverged=0, step=np.arange(length), time=np.arange(length) / 10,
        recorded=np.zeros((length, 1)), planned=np.zeros((length, 1)), distance=moved,
        difference=moved[:, None] / 2,
    )  # fmt: skip
    return Replayed(**values)


def test_figures_worked_by_hand() -> None:
    nan = float('nan')
    first = made_up(
        0, [0.5, 0.6, nan, 0.0], reward=[1, 1, 1, 1], cost=[1, 1, 1, 0],
        cost_ahead=[2, 2, 1, nan], worst_cost=[0.0, 0.5, nan, 0.0], safe_fraction=[1, 0, nan, 0.5],
        model_error=[3, 4, 0, 0],
    )  # fmt: skip
    second = made_up(
        1, [2.0], reward=[-2], cost=[0], cost_ahead=[1], worst_cost=[0.0], safe_fraction=[0.5],
        model_error=[0],
    )  # fmt: skip
    found = replay_summary.figures([first, second])
    assert (found['episodes'], found['steps'], found['plans']) == (2, 5, 4)
    assert found['different'] == 2  # 0.6 and 2.0; 0.5 is a quarter of the range, not more
    assert found['different_share'] == 0.5
    assert found['mean_distance'] == pytest.approx(3.1 / 4)
    assert (found['recorded_return'], found['recorded_cost']) == (1.0, 1.5)
    assert (found['costly'], found['costly_predicted_free']) == (2, 1)  # one has no plan
    assert (found['costly_ahead'], found['costly_ahead_predicted_free']) == (3, 2)
    assert (found['worst_predicted_cost'], found['safe_fraction']) == (0.5, 0.5)
    assert found['with_safe_share'] == 0.75
    assert found['model_error'] == pytest.approx(np.sqrt(5.0))
    assert replay_summary.beyond([first, second], 0.4) == 1


def test_large_differences_close_together_count_once() -> None:
    one, two = made_up(0, [0.5, 0.9, 0.8, 0.7, 0.0]), made_up(1, [0.85, 0.1])

    def found(count: int, apart: int) -> list[tuple[int, int]]:
        return [(d.episode.number, d.row) for d in replay_summary.largest([one, two], count, apart)]

    assert found(9, 1) == [(0, 1), (1, 0), (0, 2), (0, 3), (0, 0), (1, 1)]
    assert found(9, 2) == [(0, 1), (1, 0), (0, 3)]
    assert found(2, 1) == [(0, 1), (1, 0)]


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
    assert "no transition of task 'drift_car'" in error
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
