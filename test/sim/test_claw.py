# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The claw at the valve: rewards by hand, starts, limits and the model files, in MuJoCo."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from robots import Array, random_actions

from loop_ros.sim import claw
from loop_ros.sim.claw import Claw

needs_robel = pytest.mark.skipif(
    importlib.util.find_spec('robel') is None, reason='the package robel is not installed'
)


def drive(env: Claw, actions: Array, seed: int) -> list[tuple[Array, float]]:
    """Observation and reward of each step, the start first."""
    return [(env.reset(seed=seed)[0], 0.0), *(env.step(action)[:2] for action in actions)]


def claw_observation(valve: float, goal: float) -> Array:
    return np.array([*claw.START_POSE, *[0.0] * 9, valve, 0.0, goal])


@pytest.mark.parametrize(
    ('valve', 'goal', 'expected'),
    [
        (0.0, 2.0, -20.0),
        (0.5, -2.0, -25.0),
        (0.0, math.pi, -10 * math.pi),
        (-3.0, 3.0, -10 * (2 * math.pi - 6.0)),  # the short way round is over half a turn
        (6.1, 2.0, -10 * (2 * math.pi - 4.1)),
        (1.7, 2.0, -3.0),
        (1.8, 2.0, -2.0 + 2.0),
        (2.11, 2.0, -1.1 + 2.0),
        (1.95, 2.0, -0.5 + 20.0),
        (2.0, 2.0, 20.0),
    ],
)
def test_reward_of_the_claw_by_hand(valve: float, goal: float, expected: float) -> None:
    assert float(claw.reward(claw_observation(valve, goal))) == pytest.approx(expected, abs=1e-9)


def test_reward_of_robel_by_hand() -> None:
    observation = claw_observation(1.85, 2.0)
    observation[:9] = (0.0, -math.pi / 3, math.pi / 3) * 3
    assert float(claw.robel_reward(observation)) == pytest.approx(-5 * 0.15 + 10)
    observation[0], observation[4] = 0.3, -math.pi / 3 + 0.4
    observation[9:12] = (0.4, 3.0, -4.0)  # what is slower than 0.5 rad/s costs nothing
    assert float(claw.robel_reward(observation)) == pytest.approx(-5 * 0.15 + 10 - 0.5 - 5.0)
    observation[18] = 1.95
    assert float(claw.robel_reward(observation)) == pytest.approx(-5 * 0.05 + 60 - 0.5 - 5.0)


@needs_robel
def test_the_claw_pays_the_state_it_reaches() -> None:
    for name, rule in (('nagabandi', claw.reward), ('robel', claw.robel_reward)):
        steps = drive(Claw(reward=name), random_actions(claw.TASK, 8), 0)
        for observation, reward in steps[1:]:
            assert reward == pytest.approx(float(rule(observation)), abs=1e-12)
    with pytest.raises(ValueError, match=r"unknown reward 'sparse'.*nagabandi, robel"):
        Claw(reward='sparse')


@needs_robel
def test_the_observation_of_the_claw_is_what_mujoco_measures() -> None:
    env = Claw()
    observation = drive(env, random_actions(claw.TASK, 5), 1)[-1][0]
    for label, value in zip(claw.LABELS[:9], observation[:9], strict=True):
        assert value == env.data.joint(label).qpos[0]
        assert value == pytest.approx(env.data.sensor(f'{label}_pos_sensor').data[0], abs=0.02)
    rates = [env.data.joint(joint).qvel[0] for joint in claw.JOINTS]
    np.testing.assert_array_equal(observation[9:18], rates)
    valve = env.data.joint(claw.VALVE)
    assert (observation[18], observation[19]) == (valve.qpos[0], valve.qvel[0])
    env.reset(seed=0)
    mark, goal = env.data.site('tmark').xpos, env.reset(seed=0)[0][20]
    np.testing.assert_allclose(mark[:2], (0.04 * math.cos(goal), 0.04 * math.sin(goal)), atol=1e-9)


@needs_robel
def test_starts_of_the_claw_fill_their_bounds_and_stay_in_them() -> None:
    env = Claw()
    starts = np.array([env.reset(seed=seed)[0] for seed in range(400)])
    np.testing.assert_allclose(starts[:, :9], np.tile(claw.START_POSE, (400, 1)))
    assert not starts[:, 9:18].any()
    valve, goal = starts[:, 18], starts[:, 20]
    assert abs(valve).max() <= math.pi / 4
    assert valve.min() < -0.7 < 0.7 < valve.max()
    assert abs(goal).min() >= math.pi / 2
    assert abs(goal).min() < 1.65
    assert 3.05 < abs(goal).max() <= math.pi
    assert 150 < (goal > 0).sum() < 250


@needs_robel
def test_a_far_command_is_approached_at_a_bounded_speed() -> None:
    env = Claw()
    env.reset(seed=0)
    env.step(np.array(claw.TASK.action_high))
    expected = np.minimum(np.array(claw.START_POSE) + 0.5, claw.TASK.action_high)
    np.testing.assert_allclose(env.data.ctrl, expected)


@needs_robel
def test_fingers_turn_the_valve_and_safe_commands_leave_it() -> None:
    env = Claw()
    still = np.array([step[0] for step in drive(env, np.tile(claw.START_POSE, (20, 1)), 0)])
    assert np.ptp(still[:, 18]) < 1e-9
    np.testing.assert_allclose(still[-1, :9], claw.START_POSE, atol=0.05)
    turned = np.array([step[0] for step in drive(env, random_actions(claw.TASK, 60), 0)])
    assert np.ptp(turned[:, 18]) > 0.3


@needs_robel
def test_the_claw_without_its_model_files_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r"'Claw-v1'.*robel.*--no-deps robel==0.1.2"):
        Claw()


def test_encoding_of_the_claw_loses_nothing_the_reward_needs() -> None:
    rng = np.random.default_rng(0)
    observations = rng.uniform(-6, 6, (200, 21))
    encoded = claw.encode(torch.as_tensor(observations)).numpy()
    np.testing.assert_array_equal(encoded[:, :18], observations[:, :18])
    error = np.arctan2(encoded[:, 22], encoded[:, 21])
    np.testing.assert_allclose(error, claw.valve_error(observations), atol=1e-9)
    valve = np.arctan2(encoded[:, 19], encoded[:, 18])
    np.testing.assert_allclose(np.exp(1j * valve), np.exp(1j * observations[:, 18]), atol=1e-9)
    np.testing.assert_array_equal(encoded[:, 20], observations[:, 19])


def test_metrics_of_the_claw_by_hand() -> None:
    found = claw.metrics(claw_observation(-3.0, 3.0))
    assert found == pytest.approx({'valve_error': 2 * math.pi - 6.0, 'valve_angle': -3.0})
