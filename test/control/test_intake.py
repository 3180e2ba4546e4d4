# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions of many robots on their way to one learner."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from stack import until

from loop_ros.agent import Agent
from loop_ros.control import intake as limits
from loop_ros.control import learn_worker
from loop_ros.control.intake import Intake, robot_names
from loop_ros.control.learn_worker import LearnWorker
from loop_ros.learning.transitions import as_batch
from loop_ros.types import Transition

NAMES = ('a', 'b', 'c')
RATE = 20.0  # Hz


def numbered(step: int) -> Transition:
    vector = np.full(6, float(step))
    return Transition(float(step), 0, step, vector, np.zeros(2), 0.0, 0.0, vector, False, False)


def fill(intake: Intake, **counts: int) -> None:
    for name, count in counts.items():
        for step in range(count):
            intake.put(name, numbered(step))


# A name puts one of that robot; a number takes so many.
@given(st.lists(st.sampled_from(NAMES) | st.integers(1, 4), max_size=80))
def test_nothing_is_lost_unless_it_is_counted(operations: list[str | int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, 'LARGEST_BACKLOG', 12)  # four of each robot
        intake = Intake(NAMES, RATE)
        accepted: dict[str, list[int]] = {name: [] for name in NAMES}
        taken: dict[str, list[int]] = {name: [] for name in NAMES}
        sent = Counter[str]()
        for operation in operations:
            if isinstance(operation, str):
                step = sent[operation]
                sent[operation] += 1
                if intake.put(operation, numbered(step)):
                    accepted[operation].append(step)
            else:
                for _ in range(min(operation, intake.backlog)):
                    source, transition = intake.take()
                    taken[source.name].append(transition.step)
        for name, source in intake.sources.items():
            assert len(source.queue) <= 4
            assert sent[name] == len(accepted[name]) + source.held_back
            assert taken[name] + [t.step for t in source.queue] == accepted[name]


@given(st.tuples(*[st.integers(0, 30)] * 3))
def test_every_robot_has_its_turn(lengths: tuple[int, int, int]) -> None:
    """While two wait, neither is ahead of the other by more than one."""
    intake, taken = Intake(NAMES, RATE), Counter[str]()
    fill(intake, **dict(zip(NAMES, lengths, strict=True)))
    while intake.backlog:
        taken[intake.take()[0].name] += 1
        waiting = [taken[name] for name, source in intake.sources.items() if source.queue]
        assert not waiting or max(waiting) - min(waiting) <= 1
    assert tuple(taken[name] for name in NAMES) == lengths
    with pytest.raises(IndexError):
        intake.take()


@pytest.mark.parametrize('robots', [2, 4, 5, 10])
def test_what_the_ensemble_is_held_out_is_of_every_robot(robots: int) -> None:
    """Every tenth transition (settings.ensemble.holdout_fraction) decides when it is trained."""
    names = [f'robot_{number}' for number in range(robots)]
    intake = Intake(names, RATE)
    fill(intake, **dict.fromkeys(names, 100))
    order = [intake.take()[0].name for _ in range(100 * robots)]
    held_out = Counter(order[9::10])
    assert min(held_out[name] for name in names) >= 3


def test_a_robot_that_floods_is_held_back() -> None:
    intake = Intake(('calm', 'flood'), RATE)
    fill(intake, calm=3, flood=6000)

    def surplus(now: float) -> Counter[str]:
        return Counter(source.name for source, _ in intake.take_surplus(now))

    calm, flood = intake.sources['calm'], intake.sources['flood']
    assert surplus(100.0) == {'flood': limits.BURST}  # half of the longest backlog is its share
    assert flood.floods and not calm.floods
    assert (intake.backlog, intake.lag) == (3 + 5000, 3)
    assert surplus(100.0) == {}
    assert surplus(105.0) == {'flood': 200}  # in 5 s, at twice its control rate
    for _ in range(10):
        surplus(1000.0)
        intake.take()
    assert not calm.queue  # three of ten turns, for it had no more
    while len(flood.queue) > limits.SKIPPED_BACKLOG // 2:
        flood.queue.popleft()
    assert surplus(1000.0) == {}
    assert not flood.floods


def test_one_robot_alone_is_never_held_back_from_the_buffer() -> None:
    intake = Intake(rate=RATE)
    for step in range(limits.SKIPPED_BACKLOG + 5000):
        intake.put('', numbered(step))
    assert len(list(intake.take_surplus(0.0))) == 5000
    assert not intake.sources[''].floods


def test_who_stands_out() -> None:
    intake = Intake(('a', 'b', 'c', 'd'), RATE)
    for name, error in {'a': 1.0, 'b': 1.5, 'c': 6.0}.items():
        intake.sources[name].keep_errors([error] * limits.LEAST_ERROR_STEPS)
    intake.sources['d'].keep_errors([100.0] * (limits.LEAST_ERROR_STEPS - 1))  # too few to tell
    assert intake.outliers() == {'c': pytest.approx(6.0 / 1.25)}
    intake.left_out = frozenset('b')
    assert intake.outliers() == {'c': pytest.approx(6.0 / 1.0)}  # which is still said of it
    assert Intake(rate=RATE).outliers() == {}


def test_names_of_robots() -> None:
    assert robot_names('') == ()
    assert robot_names('robot_2..4, lab/red,/blue') == (
        *('robot_2', 'robot_3', 'robot_4', 'lab/red', '/blue'),
    )
    with pytest.raises(ValueError, match='robot_2 is there twice'):
        robot_names('robot_1..3,robot_2')
    with pytest.raises(ValueError, match=r"'robot_1\.\.0' names no robot"):
        robot_names('robot_1..0')
    for wrong in ('2..3', 'a b', 'a/', '1', 'a//b'):
        with pytest.raises(ValueError, match='is no namespace'):
            robot_names(wrong)


def noisy(transitions: list[Transition], noise: float) -> list[Transition]:
    """As a robot has them whose sensors err: in units of the observations."""
    rng = np.random.default_rng(1)

    def erring(observation: np.ndarray) -> np.ndarray:
        return observation + noise * rng.standard_normal(observation.shape)

    return [
        dataclasses.replace(
            t, observation=erring(t.observation), next_observation=erring(t.next_observation)
        )
        for t in transitions
    ]


def test_a_robot_whose_sensors_err_stands_out_and_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn_worker, 'ERROR_PERIOD', 0.0)
    intake = Intake(NAMES, RATE)
    worker = LearnWorker(tmp_path / 'c', 1e6, 1e6, lambda _: None, lambda _: None, intake)
    # Trained once: errors are those of the same models.
    once = {'ensemble__train_every': 100_000, 'learning__random_steps': 200}
    agent = tiny.trained(200, ensemble__max_epochs=20, **once)
    intake.left_out = frozenset({'b'})
    for seed, name in enumerate(NAMES):
        run = tiny.transitions(150, seed=1000 * seed)
        for transition in noisy(run, 0.3) if name == 'c' else run:
            worker.put(transition, name)
    worker.put(dataclasses.replace(numbered(0), reward=float('nan')), 'b')
    worker.put(dataclasses.replace(numbered(0), reward=float('nan')), 'a')
    worker.start(lambda: agent)
    until(lambda: not intake.backlog, 60, 'all of it')
    assert worker.stop(30.0)
    assert worker.failure is None
    assert list(intake.outliers()) == ['c']
    counts = {name: source.counts() for name, source in intake.sources.items()}
    assert [counts[name]['learned'] for name in NAMES] == [150, 0, 150]
    assert [counts[name]['left out'] for name in NAMES] == [0, 151, 0]
    assert [counts[name]['refused'] for name in NAMES] == [1, 0, 0]
    assert not np.isnan(intake.sources['b'].model_error)  # whether it may return
    assert Agent.load(tmp_path / 'c', tiny.TASK).num_steps == 200 + 300


def test_errors_of_the_models_are_in_standard_deviations_of_what_they_predict() -> None:
    agent, run = tiny.trained(100), tiny.transitions(3, seed=5)
    ensemble = agent.ensemble
    expected = []
    for batch in (as_batch(transition, agent.task) for transition in run):
        states, actions = (t.expand(ensemble.num_models, 1, -1) for t in batch[:2])
        predicted = ensemble.predict(states, actions)
        errors = torch.cat(
            (predicted.next_state - batch.next_state, (predicted.reward - batch.reward)[..., None]),
            dim=-1,
        )
        expected.append(float((errors / ensemble.targets.std).square().mean().sqrt().detach()))
    np.testing.assert_allclose(agent.model_errors(run), expected, rtol=1e-4)
