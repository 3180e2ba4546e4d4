# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Robots that learn together, in one process and in lockstep: a line an episode.

python3 fleet_learning.py --robots 4 --steps 6000 --seed 0

Each robot has its own planner and simulation, as in fleet.launch.py, and the learner has an update
for each transition; the planners have its weights after every training and every 20 steps.
"""

from __future__ import annotations

import argparse
import time

import torch

from loop_ros.agent import Agent
from loop_ros.control.intake import Intake
from loop_ros.settings import Settings
from loop_ros.sim import disturbed, registry
from loop_ros.sim.simulation import Simulation
from loop_ros.sim.task import Task

PUBLISH_EVERY = 20  # steps of each robot


class Robot:
    """A simulation and the planner that drives it."""

    def __init__(self, name: str, task: Task, disturbances: str, seed: int) -> None:
        self.name = name
        self.agent = Agent(task, Settings.for_task(task), seed=seed)
        env = disturbed.changed(task, disturbances).make()
        self.simulation = Simulation(task, env, seed)
        self.total = self.cost = 0.0

    def step(self, intake: Intake) -> str:
        """Drive a step; a line about the episode where one ends."""
        plan = self.agent.act(self.simulation.observation, explore=True)
        transition = self.simulation.step(plan.action)
        intake.put(self.name, transition)
        self.total += transition.reward
        self.cost += transition.cost
        if not (transition.terminated or transition.truncated):
            return ''
        line = (
            f'{self.name} episode={transition.episode} return={self.total:.1f} cost={self.cost:.0f}'
        )
        self.total = self.cost = 0.0
        self.agent.reset()
        return line


def run(task: Task, count: int, steps: int, seed: int, differences: list[str]) -> None:
    """So many steps of all robots together."""
    names = [f'robot_{number + 1}' for number in range(count)]
    robots = [
        Robot(name, task, differences[i % len(differences)], seed * 100_000 + 1000 * i)
        for i, name in enumerate(names)
    ]
    learner, intake = Agent(task, Settings.for_task(task), seed=seed), Intake(names)
    start, version = time.monotonic(), 0
    for step in range(1, steps // count + 1):
        for robot in robots:
            if line := robot.step(intake):
                print(f'{time.monotonic() - start:.0f} s, step {step}: {line}', flush=True)
        while intake.backlog:
            learner.observe(intake.take()[1])
            learner.update()
        if learner.version != version or (learner.ready and step % PUBLISH_EVERY == 0):
            version, weights = learner.version, learner.keep_weights()
            for robot in robots:
                robot.agent.put_back(weights)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--task', default='drift_car')
    parser.add_argument('--robots', type=int, default=4)
    parser.add_argument('--steps', type=int, default=6000, help='of all robots together')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--disturb', default='none', help='as in fleet.launch.py')
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = registry.task(options.task)
    run(task, options.robots, options.steps, options.seed, options.disturb.split(','))


if __name__ == '__main__':
    main()
