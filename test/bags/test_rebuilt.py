# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions rebuilt from states and commands are those that a bridge would have published."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from bag_files import (
    JOINTS,
    ODOMETRY,
    SECOND,
    TASK,
    Message,
    command,
    joints,
    odometry,
    same,
    transition_messages,
    write_bag,
)

from loop_ros.bags.reader import BagReader
from loop_ros.sim import drift_car, registry
from loop_ros.sim.simulation import Simulation
from loop_ros.types import Array, Transition

PERIOD = round(TASK.control_period * SECOND)


def driven(steps: int) -> list[Transition]:
    """A real drive of the car, in episodes of 100 steps."""
    simulation = Simulation(TASK, registry.make('drift_car'), seed=3)
    rng = np.random.default_rng(0)
    return [simulation.step(rng.uniform(TASK.action_low, TASK.action_high)) for _ in range(steps)]


def state_and_command(transition: Transition, late: int = 0) -> list[Message]:
    """`late`: ns that the command is behind, with a stamp of its own; 0: it repeats the state's."""
    stamp = round(transition.stamp * SECOND)
    receipt = SECOND + stamp
    return [
        ('/car/odom', ODOMETRY, receipt, odometry(transition.observation, stamp)),
        (
            '/car/command',
            JOINTS,
            receipt + max(late, 10**6),
            command(transition.action, stamp + late),
        ),
    ]


def raw(transitions: list[Transition], late: int = 0) -> list[Message]:
    return [message for t in transitions for message in state_and_command(t, late)]


def rebuilt(path: Path, messages: list[Message]) -> tuple[list[Transition], BagReader]:
    messages = sorted(messages, key=lambda message: message[2])
    reader = BagReader([write_bag(path, messages)], TASK)
    return list(reader), reader


def assert_rebuilt(found: list[Transition], wanted: list[Transition]) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.stamp == pytest.approx(b.stamp)
        assert a.cost == b.cost
        assert a.reward == pytest.approx(b.reward)
        for name in ('observation', 'action', 'next_observation'):
            x, y = getattr(a, name) - getattr(b, name), 2 * np.pi
            assert np.abs(x - y * np.round(x / y)).max() < 1e-9


@pytest.mark.parametrize('late', [0, 9_000_000, 30_000_000], ids=['exact', 'late', 'very late'])
def test_a_drive(tmp_path: Path, late: int) -> None:
    wanted = driven(250)
    found, reader = rebuilt(tmp_path / 'bag', raw(wanted, late))
    # The state that ends an episode is not published: its last transition cannot be known.
    known = [t for t in wanted[:-1] if not (t.terminated or t.truncated)]
    assert_rebuilt(found, known)
    assert reader.summary.episodes == 3
    assert {t.episode for t in found} == {0, 1, 2}
    assert found[98].truncated


def test_rebuilding_is_asked_for_where_transitions_are_recorded(tmp_path: Path) -> None:
    wanted = driven(20)
    messages = raw(wanted) + transition_messages(wanted, '/car/transition')
    messages.sort(key=lambda message: message[2])
    bag = write_bag(tmp_path / 'bag', messages)
    assert all(map(same, BagReader([bag], TASK), wanted[:19]))
    assert_rebuilt(list(BagReader([bag], TASK, rebuild=True)), wanted[:19])


def test_lost_messages(tmp_path: Path) -> None:
    wanted = driven(20)
    messages = raw(wanted)
    del messages[2 * 12]  # a state
    del messages[2 * 5 + 1]  # a command
    found, reader = rebuilt(tmp_path / 'bag', messages)
    kept = [t for t in wanted[:19] if t.step not in (5, 11, 12)]
    assert_rebuilt(found, kept)
    assert [t.episode for t in found] == [0] * 5 + [1] * 5 + [2] * 6
    assert reader.summary.dropped['state without a command'] == 1


def test_faster_states_are_thinned_out(tmp_path: Path) -> None:
    wanted = driven(30)
    messages = raw(wanted, late=5_000_000)
    for t in wanted[:-1]:
        for share in (1, 2, 3):
            stamp = round(t.stamp * SECOND) + share * PERIOD // 4
            messages.append(('/car/odom', ODOMETRY, SECOND + stamp, odometry(np.ones(6), stamp)))
    found, _ = rebuilt(tmp_path / 'bag', messages)
    assert_rebuilt(found, wanted[:29])


def test_commands_without_a_stamp_go_by_their_receipt(tmp_path: Path) -> None:
    wanted = driven(20)
    messages = [
        (*message[:3], command(wanted[i // 2].action, 0)) if message[1] == JOINTS else message
        for i, message in enumerate(raw(wanted, late=8_000_000))
    ]
    found, _ = rebuilt(tmp_path / 'bag', messages)
    assert len(found) == 19
    assert np.allclose([t.action for t in found], [t.action for t in wanted[:19]])


def test_a_clock_that_begins_anew(tmp_path: Path) -> None:
    wanted = driven(60)
    messages = raw(wanted)
    later = [(m[0], m[1], m[2] + 100 * SECOND, m[3]) for m in raw(driven(50)[:40])]
    found, reader = rebuilt(tmp_path / 'bag', messages + later)
    assert reader.summary.dropped['duplicate'] == 39  # the same drive once more
    assert_rebuilt(found, wanted[:59])


@pytest.mark.parametrize('odd', [np.nan, np.inf])
def test_odd_numbers_are_left_out(tmp_path: Path, odd: float) -> None:
    wanted = driven(10)
    bad = wanted[4].observation.copy()
    bad[3] = odd
    messages = raw([*wanted[:4], dataclasses.replace(wanted[4], observation=bad), *wanted[5:]])
    found, reader = rebuilt(tmp_path / 'bag', messages)
    assert reader.summary.dropped['not finite'] == 1
    assert_rebuilt(found, [t for t in wanted[:9] if t.step not in (3, 4)])


def test_a_task_whose_state_is_a_joint_state(tmp_path: Path) -> None:
    base = registry.task('Hopper')

    def reward(before: torch.Tensor, action: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        return after[..., 0] - before[..., 0] + action.sum(dim=-1)

    task = dataclasses.replace(base, reward=reward)
    size = len(task.observation_labels)
    period = round(task.control_period * SECOND)
    labels = tuple(reversed(task.observation_labels))
    states = [np.full(size, 1.2 + 0.01 * i) for i in range(4)]
    for state in states:
        state[1:] *= 0.01
    messages: list[Message] = []
    for i, state in enumerate(states):
        data = joints(labels, i * period, position=state[::-1].tolist())
        messages.append(('/state', JOINTS, i * period, data))
        action = [0.1 * i, 0.2, 0.3]
        data = joints(task.action_labels, i * period, effort=action)
        messages.append(('/command', JOINTS, i * period + 1, data))
    bag = write_bag(tmp_path / 'bag', messages)
    found = list(BagReader([bag], task))
    assert [t.reward for t in found] == pytest.approx([0.51, 0.61, 0.71])
    assert np.array_equal(found[1].observation, states[1])
    assert [t.truncated for t in found] == [False, False, True]
    with pytest.raises(ValueError, match="task 'Hopper' no reward function"):
        list(BagReader([bag], base))
    with pytest.raises(ValueError, match="no topic 'transition', nor 'odom' with 'command'"):
        list(BagReader([bag], TASK))


def test_the_reward_of_the_task_is_that_of_the_car() -> None:
    rng = np.random.default_rng(1)
    observations: Array = rng.normal(size=(500, 6)) * [1, 1, 3, 3, 2, 2]
    assert TASK.reward is not None
    tensor = torch.from_numpy(observations)
    found = TASK.reward(tensor, tensor[:, :2], tensor).numpy()
    assert found == pytest.approx(drift_car.reward(observations))


def test_an_odometry_task_reads_the_labels_that_it_has(tmp_path: Path) -> None:
    """In its own order, from the bag of a robot that gives all of them."""
    labels = ('yaw_rate', 'x', 'v_x')
    place = [TASK.observation_labels.index(label) for label in labels]

    def reward(_: torch.Tensor, __: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        return after[..., 2]

    task = dataclasses.replace(
        TASK, observation_labels=labels, reward=reward, cost=None, encode=lambda o: o, state_dim=3
    )
    wanted = driven(30)
    messages = sorted(raw(wanted), key=lambda message: message[2])
    found = list(BagReader([write_bag(tmp_path / 'bag', messages)], task))
    assert len(found) == 29  # the last one has no next state
    for a, b in zip(found, wanted, strict=False):
        np.testing.assert_allclose(a.observation, b.observation[place], atol=1e-12)
        np.testing.assert_array_equal(a.action, b.action)
        assert a.reward == a.next_observation[2]
