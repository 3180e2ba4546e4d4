# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The smallest agents that still do everything, and experience for them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loop_ros import checkpoint
from loop_ros.agent import Agent
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.sim.simulation import step
from loop_ros.sim.task import Task
from loop_ros.types import Transition

TASK: Task = registry.task('drift_car')
OBSERVATION = np.array([1.0, 0.0, 1.6, 1.5, 0.1, 0.5])  # on the line, turning
OVERRIDES: dict[str, Any] = {
    'planner.horizon': 3,
    'planner.num_samples': 10,
    'planner.num_particles': 2,
    'planner.num_iterations': 2,
    'planner.min_safe': 2,
    'planner.actor_fraction': 0.2,
    'ensemble.num_models': 2,
    'ensemble.num_layers': 1,
    'ensemble.width': 8,
    'ensemble.batch_size': 16,
    'ensemble.train_every': 20,
    'ensemble.max_epochs': 3,
    'off_policy.width': 8,
    'off_policy.batch_size': 8,
    'learning.random_steps': 40,
    'learning.buffer_size': 1000,
}


def settings(**changes: Any) -> Settings:
    """Tiny settings; `planner__d0=1.0` changes planner.d0."""
    changed = {name.replace('__', '.'): value for name, value in changes.items()}
    return Settings().replace({**OVERRIDES, **changed})


def transitions(count: int, seed: int = 0) -> list[Transition]:
    """Random driving, numbered as the bridge numbers it."""
    env = registry.make('drift_car')
    rng = np.random.default_rng(seed)
    found: list[Transition] = []
    episode = -1
    while len(found) < count:
        episode += 1
        observation, _ = env.reset(seed=seed + episode)
        truncated, number = False, 0
        while not truncated and len(found) < count:
            action = rng.uniform(TASK.action_low, TASK.action_high)
            stamp = number * TASK.control_period
            found.append(step(env, observation, action, episode, number, stamp))
            observation, truncated = found[-1].next_observation, found[-1].truncated
            number += 1
    return found


def learn(agent: Agent, experience: list[Transition]) -> list[dict[str, float]]:
    """Observe and update, transition by transition; returns the reports."""
    reports = []
    for transition in experience:
        agent.observe(transition)
        reports.append(agent.update())
    return reports


def trained(count: int = 60, seed: int = 0, **changes: Any) -> Agent:
    """An agent that is ready to plan."""
    agent = Agent(TASK, settings(**changes), seed=seed)
    learn(agent, transitions(count))
    assert agent.ready
    return agent


def configured(agent: Agent, **changes: Any) -> Agent:
    """The same agent, planning by other settings."""
    agent.configure(dataclasses.replace(agent.settings.planner, **changes))
    return agent


def tensors(agent: Agent) -> dict[str, Tensor]:
    """A copy of all that `weights` carries."""
    return checkpoint.unpack(agent.weights(), 'copy')[0]


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    """Whether both hold the same names and numbers."""
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
