# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is planned in the benchmarks: sizes, random networks of them, and the work of a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from loop_ros.models.ensemble import Ensemble
from loop_ros.models.networks import Actor, Critics
from loop_ros.models.parts import Parts
from loop_ros.planning.make import make_planner
from loop_ros.planning.planner import Planner
from loop_ros.planning.rollout import Rollout
from loop_ros.profiles import profile_names
from loop_ros.settings import Settings
from loop_ros.sim import drift_car, registry
from loop_ros.sim.task import Task

HAZARDS = 8  # the last 2 x 8 numbers of PointGoal1's state are where they lie
HAZARD_RADIUS = 0.2  # m
ARC = {'planner.algorithm': 'arc', 'planner.horizon': 3, 'planner.num_iterations': 5}


def hazard_cost(state: Tensor) -> Tensor:
    """1 within a hazard, else 0; [..., 26] -> [...]."""
    distance = state[..., -2 * HAZARDS :].unflatten(-1, (HAZARDS, 2)).norm(dim=-1)
    return (distance.amin(dim=-1) < HAZARD_RADIUS).to(state.dtype)


@dataclass(frozen=True)
class Workload:
    """A task's sizes under a profile."""

    size: str
    profile: str
    state_dim: int
    action_dim: int
    cost: Callable[[Tensor], Tensor] | None  # of predicted states; None: the ensemble's own
    settings: Settings

    def replace(self, overrides: dict[str, object]) -> Workload:
        """A copy with settings replaced, {'planner.horizon': 12, ...}."""
        return dataclasses.replace(self, settings=self.settings.replace(overrides))

    def networks(self, device: torch.device, seed: int = 0) -> Parts:
        """Random networks of this size: how long a plan takes does not depend on what they say."""
        shared = self.settings.off_policy
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Parts(
                Ensemble(self.state_dim, self.action_dim, self.settings.ensemble).to(device),
                Actor(self.state_dim, self.action_dim, shared.width).to(device),
                Critics(self.state_dim, self.action_dim, shared).to(device),
            )

    def planner(self, networks: Parts, device: torch.device, seed: int = 0) -> Planner:
        """The planner under test."""
        generator = torch.Generator(device).manual_seed(seed)
        return make_planner(Rollout(networks, self.task()), generator)

    def task(self) -> Task:
        """A task of this size."""
        count = self.action_dim
        return dataclasses.replace(
            drift_car.TASK,
            action_labels=tuple(f'action{i}' for i in range(count)),
            action_interfaces=('effort',) * count,
            action_low=(-1.0,) * count,
            action_high=(1.0,) * count,
            safe_command=(0.0,) * count,
            cost=self.cost,
        )


def workloads() -> list[Workload]:
    """The paper's sizes, and each task with a profile of its own."""
    paper = Settings.load('paper')
    found = [
        Workload('drift_car', 'paper safeARC', 6, 2, drift_car.cost, paper),
        Workload('point_goal1', 'paper safeARC', 26, 2, hazard_cost, paper),
        Workload('half_cheetah', 'paper ARC', 17, 6, None, paper.replace(ARC)),
    ]
    for name in profile_names():
        if name in registry.names():
            task = registry.task(name)
            settings = Settings.for_task(task, name)
            sizes = task.state_dim, len(task.action_labels)
            found.append(Workload(name, 'real time', *sizes, task.cost, settings))
    return found


def plan_flop(workload: Workload) -> float:
    """Floating-point operations of the matrix products that a plan asks for.

    Counted is what the algorithm needs, so that work beyond it does not pass for speed: particles
    only where noise is sampled, one model for each of the actor's sequences, one critic for q1.
    """
    planner, width = workload.settings.planner, workload.settings.off_policy.width
    ensemble = workload.settings.ensemble
    state, action = workload.state_dim, workload.action_dim
    hidden = [ensemble.width] * ensemble.num_layers
    mean = _row([state + action, *hidden, state + 2])  # delta-state, reward, cost
    step = mean
    if planner.propagate_noise:
        step += _row([hidden[-1], state + 1])  # and log-variances
    act = _row([state, width, width, 2 * action])
    critics = 1 if planner.critic == 'q1' else 2
    value = critics * _row([state + action, width, width, 1])
    end = {'q': value, 'v': value + act, 'none': 0}[planner.terminal_value]
    particles = planner.num_particles if planner.propagate_noise else 1
    sequence = ensemble.num_models * particles * (planner.horizon * step + end)
    proposals = round(planner.actor_fraction * planner.num_samples)
    proposal = planner.horizon * act + (planner.horizon - 1) * mean
    times = planner.num_iterations if planner.resample_actor else 1
    judged = planner.num_iterations * planner.num_samples + 1  # the last one is the plan itself
    return float(judged * sequence + times * proposals * proposal)


def _row(sizes: list[int]) -> int:
    """Operations of one row through linear layers of these sizes."""
    return sum(2 * inputs * outputs for inputs, outputs in pairwise(sizes))
