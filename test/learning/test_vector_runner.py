# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Copies of an environment, stepped together: whole episodes, each from its own start."""

from __future__ import annotations

import numpy as np
import tiny

from loop_ros.agent import Agent
from loop_ros.runner import Episode
from loop_ros.sim import registry, told_apart
from loop_ros.types import Transition
from loop_ros.vector_runner import VectorRunner


def drive(copies: int, steps: int, seed: int = 0) -> tuple[list[Episode], list[Transition], Agent]:
    """What ended, and every transition, of so many steps of each copy while an agent learns."""
    agent = Agent(tiny.TASK, tiny.settings(), seed=seed)
    seen: list[Transition] = []

    def learn(transition: Transition) -> None:
        seen.append(transition)
        agent.observe(transition)
        agent.update()

    runner = VectorRunner(agent, [tiny.TASK] * copies, seed, first_episode=5)
    ended = [
        episode for _ in range(steps) for episode in runner.step(explore=True, on_transition=learn)
    ]
    return ended, seen, agent


def test_every_copy_drives_whole_episodes() -> None:
    """The drift car's end after 100 steps: two of each copy, numbered in the order of starts."""
    ended, seen, agent = drive(2, 200)
    assert [episode.index for episode in ended] == [5, 6, 7, 8]
    assert agent.num_steps == len(seen) == 400
    for episode in ended:
        own = [transition for transition in seen if transition.episode == episode.index]
        assert [transition.step for transition in own] == list(range(100))
        assert [transition.truncated for transition in own] == [False] * 99 + [True]
        assert episode.rewards == [transition.reward for transition in own]
        for before, after in zip(own, own[1:], strict=False):
            np.testing.assert_array_equal(before.next_observation, after.observation)


def test_transitions_are_the_environments_own() -> None:
    """A copy's first episode, driven again by its actions from its seed."""
    _, seen, _ = drive(3, 100)
    for copy in range(3):
        env = registry.make('drift_car')
        observation, _ = env.reset(seed=copy)
        for transition in (each for each in seen if each.episode == 5 + copy):
            np.testing.assert_array_equal(transition.observation, observation)
            observation, reward, _, _, info = env.step(transition.action)
            assert (reward, info['cost']) == (transition.reward, transition.cost)


def test_the_seed_determines_everything() -> None:
    first, second, other = drive(2, 60), drive(2, 60), drive(2, 60, seed=1)
    for ours, theirs in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(ours.action, theirs.action)
    assert not np.array_equal(first[1][0].action, other[1][0].action)
    starts = [transition.observation for transition in first[1][:2]]
    assert not np.array_equal(*starts)
    assert first[2].version > 0, 'the last steps must have been planned'


def test_each_copy_may_be_another_robot() -> None:
    """With its own number and friction; the models are told which."""
    task = registry.task('drift_car@2')
    robots = [told_apart.robot(task, 1), told_apart.robot(task, 2, 'friction=0.5')]
    agent = Agent(task, tiny.settings(), seed=0)
    seen: list[Transition] = []
    runner = VectorRunner(agent, robots, 0, first_episode=0)
    for _ in range(5):
        runner.step(on_transition=seen.append)
    assert [transition.observation[-1] for transition in seen] == [1, 2] * 5
    for copy, friction in enumerate((1.0, 0.5)):
        env = registry.make('drift_car', friction=friction)
        env.reset(seed=copy)
        for transition in seen[copy::2]:
            reached = env.step(transition.action)[0]
            np.testing.assert_array_equal(transition.next_observation[:-1], reached)
