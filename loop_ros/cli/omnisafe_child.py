# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training of OmniSafe, run by the Python of its own environment; `omnisafe.py` starts it.

The first argument is the job as JSON. On standard output each line is a JSON object: the row of an
episode ('phase' training or evaluation), then the settings. What OmniSafe prints goes to standard
error. SIGINT ends the training early; the evaluation follows all the same.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box

from loop_ros.cli.arguments import import_from_current_folder
from loop_ros.sim import registry, safety_gym_compat
from loop_ros.types import Array

Step = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]


class TaskEnvironment:
    """Any task of the registry, as OmniSafe wants it; reports each episode that ends.

    The policy sees the state that our own networks see, not the robot's observation.
    """

    # The next three, and the spaces, are what OmniSafe's CMDP reads; `register` adds it as a base.
    _support_envs: ClassVar[list[str]] = []
    need_auto_reset_wrapper = True
    need_time_limit_wrapper = False  # the tasks end their episodes themselves
    report: ClassVar[Callable[[dict[str, float]], None]]
    seeds: ClassVar[Iterator[int | None]] = repeat(None)  # of the next resets

    def __init__(self, env_id: str, device: Any = 'cpu', **_: Any) -> None:
        self._num_envs = 1
        self._task = registry.task(env_id)
        self._env = self._task.make()
        self._observation_space = Box(-np.inf, np.inf, (self._task.state_dim,))
        self._action_space = self._env.action_space
        self._device = device
        self._seed: int | None = None
        self._rewards: list[float] = []
        self._costs: list[float] = []
        self._reached: list[Array] = []

    def set_seed(self, seed: int) -> None:
        """Seed the next reset."""
        self._seed = seed

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Start an episode; one that has not ended is forgotten."""
        if seed is None:
            seed = next(self.seeds) if self._seed is None else self._seed
        self._seed = None
        observation, _ = self._env.reset(seed=seed)
        self._rewards, self._costs, self._reached = [], [], []
        return self._state(observation), {}

    def step(self, action: torch.Tensor) -> Step:
        """Take a step with the action inside its limits."""
        wanted = action.detach().cpu().numpy().astype(np.float64)
        limits: Any = self._env.action_space
        reached, reward, terminated, truncated, info = self._env.step(
            np.clip(wanted, limits.low, limits.high)
        )
        cost = float(info.get('cost', 0.0))
        self._rewards.append(float(reward))
        self._costs.append(cost)
        self._reached.append(reached)
        if terminated or truncated:
            type(self).report(self._row())
        return (
            self._state(reached),
            torch.tensor(float(reward), device=self._device),
            torch.tensor(cost, device=self._device),
            torch.tensor(terminated, device=self._device),
            torch.tensor(truncated, device=self._device),
            {},
        )

    def render(self) -> None:
        """Draw nothing."""

    def close(self) -> None:
        """Close the task's environment."""
        self._env.close()

    def _state(self, observation: Array) -> torch.Tensor:
        state = self._task.encode(torch.as_tensor(observation, dtype=torch.float64))
        return state.to(self._device, torch.float32)

    def _row(self) -> dict[str, float]:
        """The episode's metrics, named as those of our own algorithms."""
        row = {
            'steps': len(self._rewards), 'return': sum(self._rewards), 'cost': sum(self._costs)
        }  # fmt: skip
        if self._task.cost is not None:
            states = self._task.encode(torch.as_tensor(np.array(self._reached)))
            row['planner_cost'] = float(self._task.cost(states).sum())
        metrics = [self._task.metrics(observation) for observation in self._reached]
        return row | {f'mean_{n}': float(np.mean([m[n] for m in metrics])) for n in metrics[0]}


def register(task: str) -> type[TaskEnvironment]:
    """Make a task known to OmniSafe; returns the class of its environments."""
    safety_gym_compat.enter()  # OmniSafe imports that package
    from omnisafe.envs.core import CMDP, env_register

    known = {'_support_envs': [task]}
    return env_register(type('RegisteredEnvironment', (TaskEnvironment, CMDP), known))


def main() -> int:
    """Train and evaluate as the job says."""
    job = json.loads(sys.argv[1])
    import_from_current_folder(job['task'])
    environment = register(job['task'])
    import omnisafe

    lines = os.fdopen(os.dup(1), 'w', encoding='utf-8', buffering=1)
    os.dup2(2, 1)

    def send(**content: Any) -> None:
        print(json.dumps(content), file=lines)

    environment.report = lambda row: send(phase='training', row=row)
    agent = omnisafe.Agent(job['algorithm'], job['task'], custom_cfgs=job['settings'])
    try:
        agent.learn()
    except KeyboardInterrupt:
        print('interrupted: evaluating the policy that was saved last')
    environment.report = lambda row: send(phase='evaluation', row=row)
    environment.seeds = count(job['evaluation_seed'])
    evaluate(Path(agent.agent.logger.log_dir), job['evaluation_episodes'])
    send(phase='end', settings=agent.cfgs.todict(), folder=agent.agent.logger.log_dir)
    return 0


def evaluate(folder: Path, episodes: int) -> None:
    """Drive episodes with the mean action of the policy that a training saved last."""
    import omnisafe

    saved = sorted(folder.glob('torch_save/epoch-*.pt'), key=lambda path: int(path.stem[6:]))
    evaluator = omnisafe.Evaluator()
    evaluator.load_saved(str(folder), saved[-1].name)
    evaluator.evaluate(num_episodes=episodes)


if __name__ == '__main__':
    sys.exit(main())
