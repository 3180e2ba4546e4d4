# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PointGoal1 and CarGoal1 against safety-gymnasium itself and against figures worked by hand."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loop_ros.sim import registry, safety_gym_tasks
from loop_ros.sim.safety_gym_compat import make_world

ROBOTS = ('Point', 'Car')
GOAL, DISTANCE = safety_gym_tasks.GOAL, 26
Drive = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def chase(observation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Steer the point robot to its goal, blind to hazards."""
    bearing = math.atan2(observation[7], observation[6])
    return np.array([0.6, 2.0 * bearing]) + rng.normal(0.0, 0.2, 2)


def trespass(observation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Steer the point robot through its nearest hazard, again and again."""
    hazards = observation[10:].reshape(8, 2)
    x, y = hazards[np.argmin(np.hypot(*hazards.T))]
    return np.array([0.3, 2.0 * math.atan2(y, x)]) + rng.normal(0.0, 0.3, 2)


def wander(observation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw random actions, some of them beyond the limits."""
    return rng.uniform(-1.3, 1.3, 2)


def in_body_frame(world: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Velocity [3], turn rates [3] and magnetic field [3] of the robot, from the Jacobians."""
    model, data = world.task.model, world.task.data
    robot = data.body('agent')
    linear, angular = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    mujoco.mj_jacBody(model, data, linear, angular, robot.id)
    rotation = robot.xmat.reshape(3, 3).T
    return rotation @ linear @ data.qvel, rotation @ angular @ data.qvel, rotation @ [0, -0.5, 0]


def check_observation(observation: np.ndarray, world: Any) -> None:
    """Compare with what the poses and velocities of the bodies give, entry by entry."""
    velocity, rates, field = in_body_frame(world)
    np.testing.assert_allclose(observation[:2], velocity[:2], atol=1e-9)
    np.testing.assert_allclose(observation[2:5], field, atol=1e-9)
    np.testing.assert_allclose(observation[5], rates[2], atol=1e-9)
    body = world.task.data.body
    robot = body('agent')
    forward = robot.xmat.reshape(3, 3)[:, 0]
    cosine, sine = forward[:2] / math.hypot(forward[0], forward[1])
    for number, name in enumerate(('goal', 'vase0', *(f'hazard{i}' for i in range(8)))):
        x, y = body(name).xpos[:2] - robot.xpos[:2]
        expected = (cosine * x + sine * y, -sine * x + cosine * y)
        found = observation[6 + 2 * number : 8 + 2 * number]
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize('robot', ROBOTS)
def test_interface(robot: str) -> None:
    task, environment = registry.task(f'{robot}Goal1'), registry.make(f'{robot}Goal1')
    observation, _ = environment.reset(seed=0)
    assert observation.shape == (26,) == (len(task.observation_labels),)
    assert observation.dtype == np.float64
    assert environment.observation_space.contains(observation)
    world = make_world(robot, 'Goal1')
    world.reset(seed=0)
    for space in (world.action_space, environment.action_space):
        np.testing.assert_array_equal(space.low, task.action_low)
        np.testing.assert_array_equal(space.high, task.action_high)
    settings = world.task.sim_conf
    assert settings.frameskip_binom_p == 1.0
    simulation_step = settings.frameskip_binom_n * world.task.model.opt.timestep
    assert task.control_period == pytest.approx(5 * simulation_step)
    assert environment.metadata['render_fps'] == pytest.approx(1.0 / task.control_period)
    assert task.max_episode_steps * 5 == world.task.num_steps == 1000
    assert world.task.hazards.size == safety_gym_tasks.HAZARD_RADIUS
    actuators = [world.task.model.actuator(i).name for i in range(world.task.model.nu)]
    assert actuators == {'Point': ['x', 'z'], 'Car': ['left', 'right']}[robot]


@pytest.mark.slow
@pytest.mark.parametrize(('robot', 'expected'), [('Point', (-1.2688, 0)), ('Car', (-1.4833, 120))])
def test_adapted_simulation_is_the_original(robot: str, expected: tuple[float, int]) -> None:
    """Return and cost of 1,000 random steps are those measured under gymnasium 0.29.1."""
    world = make_world(robot, 'Goal1')
    world.reset(seed=0)
    world.action_space.seed(0)
    steps = [world.step(world.action_space.sample()) for _ in range(1000)]
    assert sum(step[1] for step in steps) == pytest.approx(expected[0], abs=5e-5)
    assert sum(step[2] for step in steps) == expected[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('robot', 'drive', 'goals_at_least', 'cost_at_least'),
    [('Point', chase, 3, 0), ('Point', trespass, 0, 50), ('Car', wander, 0, 20)],
)
def test_an_episode_is_the_simulations_own(
    robot: str, drive: Drive, goals_at_least: int, cost_at_least: int
) -> None:
    """Rewards, costs and motion equal, to the last bit, those of the bare simulation."""
    environment, world = registry.make(f'{robot}Goal1'), make_world(robot, 'Goal1')
    rng = np.random.default_rng(0)
    observation, _ = environment.reset(seed=5)
    world.reset(seed=5)
    check_observation(observation, world)
    goals, total_cost = 0, 0.0
    for number in range(1, 201):
        action = drive(observation, rng)
        observation, reward, terminated, truncated, info = environment.step(action)
        steps = [world.step(np.clip(action, -1.0, 1.0)) for _ in range(5)]
        assert reward == sum(step[1] for step in steps)
        assert info['cost'] == sum(step[2] for step in steps)
        np.testing.assert_array_equal(environment.world.task.data.qpos, world.task.data.qpos)
        check_observation(observation, world)
        # Where the simulation counts, the planner does; beyond its margin neither does.
        known = safety_gym_tasks.cost(torch.from_numpy(observation)).item()
        distance = safety_gym_tasks.metrics(observation)['hazard']
        assert steps[-1][2] == (distance < 0.2)
        assert known == (distance < 0.2 + safety_gym_tasks.MARGIN)
        assert not terminated
        assert truncated == steps[-1][4] == (number == 200)
        total_cost += info['cost']
        goals += sum('goal_met' in step[5] for step in steps)
    assert goals >= goals_at_least  # without these the comparison would say little
    assert total_cost >= cost_at_least


@pytest.mark.slow
@pytest.mark.parametrize('robot', ROBOTS)
def test_episodes_repeat_with_their_seed(robot: str) -> None:
    def drive(environment: Any, seed: int | None) -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        first, _ = environment.reset(seed=seed)
        return [first, *(environment.step(rng.uniform(-1, 1, 2))[0] for _ in range(20))]

    one, two = registry.make(f'{robot}Goal1'), registry.make(f'{robot}Goal1')
    np.testing.assert_array_equal(drive(one, 4), drive(two, 4))
    following = drive(one, None)  # a new layout, and the same one for both
    np.testing.assert_array_equal(following, drive(two, None))
    again = drive(one, 4)
    assert not np.array_equal(again, following)
    np.testing.assert_array_equal(again, drive(two, 4))


@pytest.mark.slow
def test_no_place_for_a_goal_ends_the_episode_without_a_terminal_state() -> None:
    environment = registry.make('PointGoal1')
    observation, _ = environment.reset(seed=5)
    environment.unwrapped.world.task.random_generator.placements_margin = 10.0  # m round anything
    rng = np.random.default_rng(0)
    for _ in range(199):
        observation, reward, terminated, truncated, _ = environment.step(chase(observation, rng))
        assert not terminated
        if truncated:
            break
    assert truncated
    assert reward > 0.9  # it had reached its goal


def test_known_cost_by_hand() -> None:
    state = torch.full((3, 2, 26), 5.0)
    state[0, 1, 10:12] = torch.tensor([0.14, -0.17])  # 0.22 m from the middle of hazard 0
    state[1, 0, 24:26] = torch.tensor([-0.14, 0.19])  # 0.236 m from that of hazard 7
    state[1, 1, 6:10] = 0.0  # on goal and vase
    state[2, 0, 10:14] = 0.1  # inside two at once
    expected = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(safety_gym_tasks.cost(state), expected)


def test_metrics_by_hand() -> None:
    observation = np.full(26, 9.0)
    observation[:2] = (0.3, -0.4)
    observation[6:8] = (5.0, 12.0)
    observation[14:16] = (-0.6, 0.8)
    figures = registry.task('CarGoal1').metrics(observation)
    assert figures == pytest.approx({'goal': 13.0, 'hazard': 1.0, 'speed': 0.5})


def test_dataclasses_are_left_as_they_were() -> None:
    make_world('Point', 'Goal1')
    with pytest.raises(ValueError, match='mutable default'):
        dataclasses.make_dataclass('Refused', [('array', Any, np.zeros(2))])


def run_python(code: str) -> str:
    command = [sys.executable, '-c', code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return result.stdout


def test_task_imports_no_simulator() -> None:
    code = """
import sys
from loop_ros.sim import registry
registry.task('PointGoal1').cost
print({'mujoco', 'safety_gymnasium', 'gymnasium_robotics'} & set(sys.modules))
"""
    assert run_python(code).strip() == 'set()'


@pytest.mark.slow
@pytest.mark.parametrize('missing', ['safety_gymnasium', 'mujoco', 'xmltodict'])
def test_missing_simulator_is_named_with_its_remedy(missing: str) -> None:
    code = f"""
import sys
from loop_ros.sim import registry
class Hidden:
    def find_spec(name, path=None, target=None):
        if name == '{missing}':
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
sys.meta_path.insert(0, Hidden)
try:
    registry.make('CarGoal1')
except ImportError as error:
    print(error)
"""
    message = run_python(code)
    assert missing in message
    assert 'CarGoal1' in message and 'pip install' in message


@pytest.mark.slow
def test_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hazards are seen, and the picture is of the present episode."""
    monkeypatch.setenv('MUJOCO_GL', 'egl')
    old, new = (registry.make('PointGoal1', render_mode='rgb_array') for _ in range(2))
    old.reset(seed=0)
    try:
        before = old.render()
    except Exception as error:  # whatever a machine without OpenGL answers with
        pytest.skip(f'no OpenGL off screen here: {error!r}')
    old.reset(seed=1)
    new.reset(seed=1)
    for environment in (old, new):
        environment.step(np.array([1.0, 0.5]))
    picture = old.render()
    np.testing.assert_array_equal(picture, new.render())
    assert picture.shape == (480, 480, 3)
    assert not np.array_equal(picture, before)
    red, _, blue = picture.astype(int).transpose(2, 0, 1)
    assert (blue - red > 50).mean() > 0.01
    old.close()
    new.close()


@given(st.integers(0, 2**32 - 1))
def test_what_is_predictable_keeps_the_goal_where_it_was(seed: int) -> None:
    """A robot moves among fixed things; its goal stays, or appears elsewhere meanwhile."""
    rng = np.random.default_rng(seed)
    things = rng.uniform(-2, 2, (safety_gym_tasks.HAZARDS + 2, 2))  # goal, vase, hazards

    def seen(points: np.ndarray) -> torch.Tensor:
        yaw, place = rng.uniform(-np.pi, np.pi), rng.uniform(-2, 2, 2)
        turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        sensors = rng.normal(size=6)
        sensors[2:4] = -0.5 * np.sin(yaw), -0.5 * np.cos(yaw)  # the field of MuJoCo's world
        return torch.as_tensor(np.concatenate((sensors, ((points - place) @ turn).ravel())))

    task = registry.task('PointGoal1')
    assert task.predictable_next_state is not None
    state, reached = task.encode(seen(things)), seen(things)
    redrawn = reached.clone()
    redrawn[GOAL : GOAL + 2] = torch.as_tensor(rng.uniform(-3, 3, 2))
    for after in (reached, redrawn):
        predicted = task.predictable_next_state(state, task.encode(after))
        torch.testing.assert_close(predicted, task.encode(reached), atol=1e-6, rtol=0)


@pytest.mark.slow
def test_a_goal_that_was_reached_stays_in_what_is_predictable() -> None:
    """In the simulation: the next state, but in the step that reaches the goal."""
    task, env = registry.task('PointGoal1'), registry.make('PointGoal1')
    assert task.predictable_next_state is not None
    assert task.goal_resampled is not None
    rng, reached = np.random.default_rng(0), 0
    observation, _ = env.reset(seed=3)
    for _ in range(200):
        after, reward, *_ = env.step(chase(observation, rng))
        state, next_state = (task.encode(torch.as_tensor(x)) for x in (observation, after))
        predicted = task.predictable_next_state(state, next_state)
        assert bool(task.goal_resampled(predicted)) == (reward > 0.5), 'renewed is what was reached'
        assert not task.goal_resampled(state)
        if reward > 0.5:  # the bonus
            reached += 1
            assert predicted[DISTANCE] < 0.31 < next_state[DISTANCE], 'inside the goal of 0.3 m'
        else:
            torch.testing.assert_close(predicted, next_state, atol=1e-5, rtol=0)
        observation = after
    assert reached > 0


def test_a_state_by_hand() -> None:
    """Heading north (the field is behind): what is ahead is in the north, left is in the west."""
    observation = torch.zeros(26, dtype=torch.float64)
    observation[:6] = torch.tensor([0.5, 0.1, -0.5, 0.0, 0.0, 1.5])
    observation[GOAL], observation[GOAL + 1] = 3.0, -4.0
    observation[24], observation[25] = 1.0, 2.0  # hazard 7
    state = registry.task('CarGoal1').encode(observation)
    expected = observation.clone()
    expected[GOAL], expected[GOAL + 1] = 4.0, 3.0
    expected[24], expected[25] = -2.0, 1.0
    assert state.tolist() == pytest.approx([*expected.tolist(), 5.0, 0.6, -0.8])


def test_all_that_stands_still_moves_alike() -> None:
    """In the simulation, while the robot turns and drives: vase, hazards and goal of a state."""
    task, env = registry.task('CarGoal1'), registry.make('CarGoal1')
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    turned = 0.0
    for _ in range(50):
        after, reward, *_ = env.step(rng.uniform(-1, 1, 2))
        state, next_state = (task.encode(torch.as_tensor(x)) for x in (observation, after))
        assert reward < 0.5, 'no new goal on the way'
        steps = (next_state - state)[GOAL:26].unflatten(0, (-1, 2))
        torch.testing.assert_close(steps, steps.mean(0).expand(10, 2), atol=1e-3, rtol=0)
        turned, observation = turned + abs(float(after[5])) * task.control_period, after
    assert turned > 1.0, 'rad'


@pytest.mark.slow
@pytest.mark.parametrize('robot', ROBOTS)
def test_a_path_is_the_way_that_was_driven(robot: str) -> None:
    """Of true states it is the simulation's own, seen from where the robot was."""
    task, environment = registry.task(f'{robot}Goal1'), registry.make(f'{robot}Goal1')
    observation, _ = environment.reset(seed=3)
    observations, poses = [observation], []
    body = environment.unwrapped.world.task.data.body

    def note_pose() -> None:
        at = body('agent')
        poses.append((*at.xpos[:2], math.atan2(at.xmat[3], at.xmat[0])))

    note_pose()
    for _ in range(8):
        observation, *_ = environment.step(np.array([0.8, 0.5]))
        observations.append(observation)
        note_pose()
    assert task.path is not None and task.drawing.around is not None
    states = task.encode(torch.tensor(np.array(observations))).numpy()
    found = task.path(observations[0], states)
    x, y, yaw = np.array(poses).T
    cosine, sine = math.cos(yaw[0]), math.sin(yaw[0])
    ahead, left = x - x[0], y - y[0]
    expected = np.stack((cosine * ahead + sine * left, cosine * left - sine * ahead), axis=1)
    # The car tilts by a hair, and the magnetic field with it.
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-5)
    np.testing.assert_allclose(np.cos(found[:, 2] - (yaw - yaw[0])), 1.0, atol=1e-9)
    goal, _, *hazards = task.drawing.around(observations[0])
    assert goal.goal and all(hazard.limit for hazard in hazards) and len(hazards) == 8
    assert (goal.x, goal.y) == tuple(observations[0][6:8])
    assert (hazards[7].x, hazards[7].y) == tuple(observations[0][24:26])
