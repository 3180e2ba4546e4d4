# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PenGoal-v1 and Claw-v1 in MuJoCo."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from loop_ros.sim import claw, pen_goal, registry
from loop_ros.sim.manipulation_tasks import TASKS

Array = NDArray[np.float64]

needs_robel = pytest.mark.skipif(
    importlib.util.find_spec('robel') is None, reason='the package robel is not installed'
)
both = pytest.mark.parametrize(
    'name', ['PenGoal-v1', pytest.param('Claw-v1', marks=needs_robel)], ids=['pen', 'claw']
)


def make(name: str, **kwargs: Any) -> Any:
    return registry.make(name, **kwargs)


def random_actions(name: str, steps: int, seed: int = 0) -> Array:
    task = TASKS[name][0]
    size = (steps, len(task.action_labels))
    return np.random.default_rng(seed).uniform(task.action_low, task.action_high, size)


def drive(env: Any, actions: Array, seed: int) -> list[Any]:
    """Observation, reward and flags of each step, until the episode ends."""
    steps = [(env.reset(seed=seed)[0], 0.0, False, False)]
    for action in actions:
        steps.append(env.step(action)[:4])
        if steps[-1][2] or steps[-1][3]:
            break
    return steps


@both
def test_it_is_a_gymnasium_environment(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        # Positions and speeds have no bound that a checker would like.
        warnings.filterwarnings('ignore', message='.*Box observation space m[a-z]+imum value.*')
        # The limits are the robot's: the agent scales them to [-1, 1], not the environment.
        warnings.filterwarnings('ignore', message='.*we recommend using a symmetric.*')
        check_env(make(name), skip_render_check=True)


@both
def test_task_and_environment_agree(name: str) -> None:
    task, env = TASKS[name][0], make(name)
    assert task.name == name
    assert registry.task(name) is task
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    np.testing.assert_array_equal(env.action_space.low, task.action_low)
    np.testing.assert_array_equal(env.action_space.high, task.action_high)
    observation = env.reset(seed=0)[0]
    assert observation.shape == env.observation_space.shape == (len(task.observation_labels),)
    assert len(set(task.observation_labels)) == len(task.observation_labels)
    sizes = {len(task.action_labels), len(task.action_interfaces), len(task.safe_command)}
    assert sizes == {env.action_space.shape[0]}
    assert env.action_space.contains(np.array(task.safe_command))
    assert task.encode(torch.as_tensor(observation)).shape == (task.state_dim,)
    batch = torch.as_tensor(np.tile(observation, (2, 3, 1)))
    assert task.encode(batch).shape == (2, 3, task.state_dim)


@both
def test_labels_limits_and_period_are_those_of_the_model(name: str) -> None:
    task, env = TASKS[name][0], make(name)
    model = env.world.model if name == 'PenGoal-v1' else env.model
    joints = [model.joint(joint).name for joint in model.actuator_trnid[:, 0]]
    assert list(task.action_labels) == joints
    assert list(task.observation_labels[: len(joints)]) == joints
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 0], task.action_low)
    np.testing.assert_allclose(model.actuator_ctrlrange[:, 1], task.action_high)
    data = env.world.data if name == 'PenGoal-v1' else env.data
    env.reset(seed=0)
    before = data.time
    env.step(np.array(task.safe_command))
    assert data.time - before == pytest.approx(task.control_period)


@both
def test_episodes_repeat_with_their_seed(name: str) -> None:
    actions = random_actions(name, 15)
    one, two = make(name), make(name)
    for mine, other in zip(drive(one, actions, 3), drive(two, actions, 3), strict=True):
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:] == other[1:]
    following = one.reset()[0]
    np.testing.assert_array_equal(following, two.reset()[0])
    assert not np.array_equal(following, one.reset(seed=3)[0])


@both
def test_what_happened_before_a_reset_is_forgotten(name: str) -> None:
    used, fresh = make(name), make(name)
    drive(used, random_actions(name, 10, seed=1), 8)
    actions = random_actions(name, 10)
    for mine, other in zip(drive(used, actions, 2), drive(fresh, actions, 2), strict=True):
        np.testing.assert_array_equal(mine[0], other[0])


@both
def test_actions_are_held_inside_the_limits(name: str) -> None:
    task, far, limit = TASKS[name][0], make(name), make(name)
    far.reset(seed=1)
    limit.reset(seed=1)
    for _ in range(3):
        reached = far.step(np.full(len(task.action_low), 9.0))[0]
        np.testing.assert_array_equal(reached, limit.step(np.array(task.action_high))[0])


@both
def test_an_episode_of_safe_commands_is_truncated_at_its_last_step(name: str) -> None:
    task = TASKS[name][0]
    commands = np.tile(task.safe_command, (task.max_episode_steps + 5, 1))
    steps = drive(make(name), commands, 0)
    assert len(steps) == task.max_episode_steps + 1
    assert not any(terminated for _, _, terminated, _ in steps)
    assert [truncated for *_, truncated in steps].index(True) == task.max_episode_steps


@both
def test_there_is_no_cost(name: str) -> None:
    env = make(name)
    env.reset(seed=0)
    assert all(env.step(action)[4]['cost'] == 0.0 for action in random_actions(name, 5))
    assert TASKS[name][0].cost is None


def test_importing_the_tasks_imports_no_simulator() -> None:
    program = (
        'import sys; import loop_ros.sim.manipulation_tasks; '
        "print([m for m in ('mujoco', 'gymnasium_robotics', 'robel') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (found.stdout.strip(), found.returncode) == ('[]', 0), found.stderr


def test_a_missing_simulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [m for m in sys.modules if m.split('.')[0] == 'gymnasium_robotics']:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, 'gymnasium_robotics', None)
    with pytest.raises(ImportError, match=r"'PenGoal-v1'.*gymnasium_robotics.*pip install"):
        make('PenGoal-v1')


# The pen.


def pen_in(drop: float, angle: float) -> Any:
    """The pen `drop` m below its place, where it lies along x; the goal `angle` rad off that."""
    env = make('PenGoal-v1')
    env.reset(seed=0)
    state = env.world.get_env_state()
    state['qpos'][env.world.model.joint('OBJTx').qposadr[0]] = drop  # this slide points down
    half = (math.pi / 2 - angle) / 2  # of the turn about y that lays the upward axis there
    state['desired_orien'] = np.array((math.cos(half), 0.0, math.sin(half), 0.0))
    env.world.set_env_state(state)
    return env


def test_goals_are_drawn_round_their_angles() -> None:
    from gymnasium_robotics.utils.rotations import quat2euler

    env, angles = make('PenGoal-v1'), []
    env.reset(seed=0)
    for _ in range(600):
        env.reset()
        angles.append(quat2euler(env.world.model.body('target').quat))
    mean, std = np.mean(angles, axis=0), np.std(angles, axis=0)
    np.testing.assert_allclose(mean, (0.7, 0.7, 0.0), atol=0.017)  # 4 standard errors
    np.testing.assert_allclose(std, (0.1, 0.1, 0.0), atol=0.012)
    assert abs(np.corrcoef(np.array(angles)[:, :2].T)[0, 1]) < 0.17


def test_the_observation_holds_the_goal_that_was_drawn() -> None:
    env = make('PenGoal-v1')
    observation = env.reset(seed=5)[0]
    w, x, y, z = env.world.model.body('target').quat
    turned = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))  # the upward axis
    np.testing.assert_allclose(observation[pen_goal.GOAL_AXIS], turned, atol=1e-9)
    np.testing.assert_allclose(observation[pen_goal.AXIS], (1, 0, 0), atol=2e-3)


def test_the_world_is_that_of_adroit_hand_pen() -> None:
    """Same start, goal and (scaled) commands: same observations and rewards."""
    from gymnasium_robotics.envs.adroit_hand.adroit_pen import AdroitHandPenEnv

    task, env, bare = pen_goal.TASK, make('PenGoal-v1'), AdroitHandPenEnv()
    start = env.reset(seed=2)[0]
    options = {'initial_state_dict': env.world.get_env_state()}
    np.testing.assert_allclose(start, bare.reset(options=options)[0], rtol=0, atol=1e-12)
    for action in random_actions('PenGoal-v1', 25):
        observation, reward, *_ = env.step(action)
        expected, paid, *_ = bare.step(task.normalize_action(action))
        np.testing.assert_allclose(observation, expected, rtol=0, atol=1e-12)
        assert reward == pytest.approx(paid, abs=1e-12)


# The bonuses are for cosines above 0.9 and 0.95: angles below 0.451 and 0.318.
@pytest.mark.parametrize(
    ('angle', 'bonus'),
    [(0.0, 60.0), (0.29, 60.0), (0.35, 10.0), (0.42, 10.0), (0.48, 0.0), (math.pi, 0.0)],
)
def test_reward_of_the_pen_by_hand(angle: float, bonus: float) -> None:
    env = pen_in(0.0, angle)
    observation, reward, terminated, _, info = env.step(np.array(pen_goal.TASK.safe_command))
    # A hundredth of a second after the start the pen has hardly moved.
    assert reward == pytest.approx(math.cos(angle) + bonus, abs=0.02)
    assert info['success'] == (bonus == 60.0)
    assert not terminated
    assert pen_goal.metrics(observation)['orientation_error'] == pytest.approx(angle, abs=0.02)


def test_a_dropped_pen_costs_5_and_ends_the_episode() -> None:
    """0.2 m below its place, which is 0.25 m high, and pointing against the goal."""
    env = pen_in(0.2, math.pi)
    observation, reward, terminated, truncated, _ = env.step(np.array(pen_goal.TASK.safe_command))
    assert observation[pen_goal.PEN_Z] == pytest.approx(0.05, abs=0.01)
    assert reward == pytest.approx(-0.2 - 1.0 - 5.0, abs=0.02)
    assert terminated
    assert not truncated
    assert pen_goal.metrics(observation)['distance'] == pytest.approx(0.2, abs=0.01)


def test_termination_of_states_equals_the_flags() -> None:
    env = make('PenGoal-v1')
    states, flags = [], []
    for seed in range(6):
        for observation, _, terminated, _ in drive(
            env, random_actions('PenGoal-v1', 200, seed), seed
        ):
            states.append(observation)
            flags.append(terminated)
    for drop in (0.1, 0.17, 0.173, 0.174, 0.175, 0.176, 0.18, 0.22):
        step = pen_in(drop, 0.0).step(np.array(pen_goal.TASK.safe_command))
        observation, _, terminated, *_ = step
        states.append(observation)
        flags.append(terminated)
    encoded = pen_goal.encode(torch.as_tensor(np.array(states)).float())
    assert pen_goal.termination(encoded).tolist() == flags
    assert 6 < sum(flags) < len(flags)
    assert pen_goal.termination(encoded.expand(2, -1, -1)).shape == (2, len(flags))


@pytest.mark.parametrize(('height', 'dropped'), [(0.0749, True), (0.0751, False)])
def test_a_pen_is_dropped_below_75_mm(height: float, dropped: bool) -> None:
    state = torch.zeros(39, dtype=torch.float64)
    state[26] = height
    assert pen_goal.termination(state).item() is dropped


def test_what_the_state_leaves_out_follows_from_it() -> None:
    steps = drive(make('PenGoal-v1'), random_actions('PenGoal-v1', 30), 1)
    observations = np.array([observation for observation, *_ in steps])
    state = pen_goal.encode(torch.as_tensor(observations)).numpy()
    position, axis, goal = state[:, 24:27], state[:, 33:36], state[:, 36:39]
    np.testing.assert_allclose(observations[:, 39:42], position - (0.0, -0.2, 0.25), atol=1e-12)
    np.testing.assert_allclose(observations[:, 42:], axis - goal, atol=1e-12)
    # And it has the velocities of the pen under their names.
    moved = np.diff(position, axis=0) / pen_goal.CONTROL_PERIOD
    place = pen_goal.LABELS.index('OBJTx_velocity')
    velocity = state[:, place : place + 3] @ np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    assert np.corrcoef(moved.ravel(), (velocity[1:] + velocity[:-1]).ravel() / 2)[0, 1] > 0.9


# The claw.


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
        steps = drive(make('Claw-v1', reward=name), random_actions('Claw-v1', 8), 0)
        for observation, reward, *_ in steps[1:]:
            assert reward == pytest.approx(float(rule(observation)), abs=1e-12)
    with pytest.raises(ValueError, match=r"unknown reward 'sparse'.*nagabandi, robel"):
        make('Claw-v1', reward='sparse')


@needs_robel
def test_the_observation_of_the_claw_is_what_mujoco_measures() -> None:
    env = make('Claw-v1')
    observation = drive(env, random_actions('Claw-v1', 5), 1)[-1][0]
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
    env = make('Claw-v1')
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
    env = make('Claw-v1')
    env.reset(seed=0)
    env.step(np.array(claw.TASK.action_high))
    expected = np.minimum(np.array(claw.START_POSE) + 0.5, claw.TASK.action_high)
    np.testing.assert_allclose(env.data.ctrl, expected)


@needs_robel
def test_fingers_turn_the_valve_and_safe_commands_leave_it() -> None:
    env = make('Claw-v1')
    still = np.array([step[0] for step in drive(env, np.tile(claw.START_POSE, (20, 1)), 0)])
    assert np.ptp(still[:, 18]) < 1e-9
    np.testing.assert_allclose(still[-1, :9], claw.START_POSE, atol=0.05)
    turned = np.array([step[0] for step in drive(env, random_actions('Claw-v1', 60), 0)])
    assert np.ptp(turned[:, 18]) > 0.3


@needs_robel
def test_the_claw_without_its_model_files_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r"'Claw-v1'.*robel.*--no-deps robel==0.1.2"):
        make('Claw-v1')


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
