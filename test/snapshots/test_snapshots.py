# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots on disk: every plan again bit for bit, the bag, and what damage does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from flight import PERIOD, Flight, rewritten, versions, write_stopped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import configured

from loop_ros.agent import Agent
from loop_ros.bags.reader import BagReader
from loop_ros.cli.main import main
from loop_ros.control.trial import FEWEST
from loop_ros.snapshots import bag, environment, files
from loop_ros.snapshots.rerun import Replanner, Tick

STEPS = 12


@pytest.fixture(scope='module')
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stopped(tmp_path_factory.mktemp('snapshots') / 'stop', STEPS, after=3)


@pytest.fixture
def copy(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / 'copy'))


def rerun(folder: Path) -> list[Tick]:
    snapshot = files.read(folder)
    return list(Replanner(snapshot).plans(range(len(snapshot.columns.plans.time))))


def result(folder: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, object]:
    """What `loop-ros rerun` says."""
    assert main(['rerun', str(folder), '--json']) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_every_plan_is_made_again_bit_for_bit(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(stopped, capsys, 0)
    assert found['plans'] == found['same'] == STEPS + 3
    assert found['trigger'] == 'stop: operator stop' and found['first'] is None
    assert main(['rerun', str(stopped)]) == 0
    assert 'the same, bit for bit' in capsys.readouterr().out


def test_a_first_plan_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its search began with nothing, so there is no other length in the recording."""
    found = result(write_stopped(tmp_path / 'first', steps=1, after=0), capsys, 0)
    assert found['plans'] == found['same'] == 1


@pytest.mark.parametrize('explore', [False, True])
def test_so_it_is_under_several_weights_and_settings(tmp_path: Path, explore: bool) -> None:
    """From nothing learned on; thresholds and algorithms change, and weights come in between."""
    agent = Agent(tiny.TASK, tiny.settings(planner__exploration_std=0.1), seed=5)
    flight, made = Flight(agent, explore), versions(3)
    flight.drive(3)
    for number, weights in enumerate(made):
        flight.load(weights)
        flight.configure(d0=float(number), algorithm=('safe_arc', 'cem', 'actor')[number])
        flight.drive(3)
    flight.configure(algorithm='safe_arc')
    flight.load(made[0])  # an earlier one again
    flight.drive(2)
    folder = flight.write(tmp_path / 'snapshot')
    found = files.read(folder)
    assert [found.weights(number) for number in range(1, 4)] == made
    assert found.columns.plans.weights.tolist() == [
        *[0] * 4, *[1] * 4, *[2] * 4, *[3] * 4, *[1] * 2
    ]  # fmt: skip
    d0 = [*[0.2] * 4, *[0.0] * 4, *[1.0] * 4, *[2.0] * 6]
    assert found.columns.plans.metric('d0').tolist() == d0
    assert [tick.describe() for tick in rerun(folder)] == ['the same'] * 18


def test_so_are_episodes_that_the_actor_drives(tmp_path: Path) -> None:
    """Drawn by lot: the recording says whose each was."""
    flight = Flight(configured(tiny.trained(), actor_episodes=0.5), explore=True)
    for _ in range(8):
        flight.drive(2)
        flight.stamp += 100 * PERIOD  # the next episode
    folder = flight.write(tmp_path / 'snapshot')
    planned = files.read(folder).columns.plans.metric('iterations') > 0
    assert 0 < planned.sum() < 16 and (planned[::2] == planned[1::2]).all()
    assert [tick.describe() for tick in rerun(folder)] == ['the same'] * 16


def test_weights_that_are_put_back_are_those_that_planned(tmp_path: Path) -> None:
    """The second trial refuses them: its plans are by both, before and after."""
    agent = tiny.trained()
    flight = Flight(agent, trial_steps=FEWEST)
    flight.drive(FEWEST + 2)
    worse = tiny.trained()
    worse.version = 2
    weights = worse.weights()
    flight.trial._worse = lambda new, old: ''  # type: ignore[method-assign]
    flight.load(weights)
    assert flight.trial.file == weights
    flight.trial._worse = lambda new, old: 'much worse'  # type: ignore[method-assign]
    flight.drive(FEWEST + 2)
    assert flight.trial.file is None and 'much worse' in flight.warnings[-1][1]
    folder = flight.write(tmp_path / 'snapshot')
    used = files.read(folder).columns.plans.weights.tolist()
    assert used == sorted(used[:-2]) + [0] * 2 and set(used) == {0, 1}
    assert all(tick.same for tick in rerun(folder))


def test_the_bag_holds_what_was_seen_and_done(stopped: Path) -> None:
    recorded = files.read(stopped).columns
    transitions = list(BagReader([stopped / 'bag'], tiny.TASK))
    assert len(transitions) == STEPS + 2
    commands = recorded.commands
    first = {stamp: row for row, stamp in reversed(list(enumerate(commands.stamp.tolist())))}
    for number, transition in enumerate(transitions):
        observation = recorded.states.observation[number]
        np.testing.assert_allclose(transition.observation, observation, atol=1e-12)
        row = first[int(recorded.states.stamp[number])]
        np.testing.assert_array_equal(transition.action, commands.action[row])
    topics = {c.topic for c in _topics(stopped / 'bag')}
    assert topics == {'/red/odom', '/red/command', '/red/planner/telemetry'}


def test_beside_a_shadow_the_commands_are_the_other_controllers(
    stopped: Path, tmp_path: Path
) -> None:
    recorded = files.read(stopped).columns
    done = np.tile([2.0, 0.1], (len(recorded.states.time), 1))
    executed = recorded.states._replace(observation=done)
    bag.write(tmp_path / 'bag', tiny.TASK, '', recorded._replace(executed=executed), True)
    transitions = list(BagReader([tmp_path / 'bag'], tiny.TASK))
    np.testing.assert_array_equal([each.action for each in transitions], done[1:])


def _topics(path: Path) -> set[object]:
    from loop_ros.bags.storage import find_bags

    (found,) = find_bags([path])
    with found.opened() as opened:
        return set(opened.topics())


def test_a_difference_is_named_with_its_size(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = files.read(copy).columns.plans
    rewritten(copy, 'plans.action', 4, plans.action[4] + [0.25, 0.0])
    found = result(copy, capsys, 1)
    assert (found['plans'], found['same'], found['actions_differ']) == (STEPS + 3, STEPS + 2, 1)
    first = found['first']
    assert isinstance(first, dict) and first['plan'] == 4 and first['what'] == 'action by 0.25'
    assert 'are those of then' in str(found['why'])


def test_another_machine_is_named_as_the_reason(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(copy, 'plans.sequence', 0, 0.0)
    here = {**environment.here(), 'torch': '9.0', 'cpu': 'another'}
    monkeypatch.setattr(environment, 'here', lambda: here)
    why = str(result(copy, capsys, 1)['why'])
    assert 'torch is 9.0, was' in why and 'cpu is another, was' in why and 'numpy' not in why


def test_plans_whose_weights_are_missing_are_counted_with_the_reason(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (weights,) = copy.glob('weights0-*')
    weights.unlink()
    found = result(copy, capsys, 1)
    problem = f'{copy}: {weights.name} is missing; copy the whole folder again'
    assert found['not_made'] == {problem: STEPS + 3} and found['same'] == 0
    assert found['why'] == 'what a plan needs is missing'


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_changes_nothing(
    stopped: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """Cut off or overwritten anywhere: an error that names the file, or what was read before."""
    folder = tmp_path / 'damaged'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stopped, folder)
    name = data.draw(st.sampled_from(['snapshot.json', 'ticks-', 'weights0-']))
    (file,) = folder.glob(f'{name}*')
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        snapshot = files.read(folder)
        snapshot.weights(0)
    except ValueError as error:
        assert str(folder) in str(error)
        return
    assert name == 'snapshot.json'
    before = files.read(stopped)
    for mine, others in zip(snapshot.columns, before.columns, strict=True):
        for one, two in zip(mine, others, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'format': 9}, 'this release reads format 1'),
        ({'task': 'Hopper'}, "the task is 'drift_car' here, and was 'Hopper'"),
        ({'task_name': 'no_such_task'}, 'no_such_task'),
        ({'task_name': 'some.module:TASK'}, 'name it with --task some.module:TASK'),
        ({'triggers': []}, 'does not say why'),
        ({'planners': []}, "'plans.settings' has a number that is not from 0 to -1"),
        ({'planners': [{'d0': -1.0}]}, 'd0'),
        ({'reasons': [7]}, '7 is no text'),
        ({'environment': 3}, 'environment is no mapping'),
        ({'files': {}}, "names no file 'ticks'"),
    ],
)
def test_a_foreign_index_is_refused_in_words(
    copy: Path, change: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    index = copy / 'snapshot.json'
    index.write_text(json.dumps({**json.loads(index.read_text()), **change}))
    assert main(['rerun', str(copy)]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_none_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.trained().save(tmp_path / 'checkpoint')
    assert main(['rerun', str(tmp_path / 'checkpoint')]) == 2
    assert 'no snapshot here (no snapshot.json)' in capsys.readouterr().err
    Flight(tiny.trained()).write(tmp_path / 'empty')
    assert main(['rerun', str(tmp_path / 'empty')]) == 2
    assert 'nothing was planned in it' in capsys.readouterr().err
