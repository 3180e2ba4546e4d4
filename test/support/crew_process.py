# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One of the processes of test_crew.py; torchrun starts it several times."""

from __future__ import annotations

import sys
from pathlib import Path

import tiny
import torch
from torch import Tensor

from loop_ros import distributed
from loop_ros.agent import Agent
from loop_ros.learning import crew
from loop_ros.learning.learner import Learner

EARLIER, STEPS = 45, 30  # transitions before the others join and after
CASES = {
    'sac': {},
    'redq_like': {'off_policy__updates_per_step': 3, 'sac__actor_every': 3},
    'droq_like': {'off_policy__layer_norm': True, 'sac__dropout': 0.3},
    'mbpo': {'model_rollouts__fraction': 0.5},
}  # fmt: skip


def learn_earlier(folder: Path) -> None:
    """Checkpoints of agents that have learned alone."""
    for case, changes in CASES.items():
        agent = Agent(tiny.TASK, tiny.settings(**changes))
        tiny.learn(agent, tiny.transitions(EARLIER + STEPS)[:EARLIER])
        agent.save(folder / case, buffer=True)


def loaded(folder: Path, case: str) -> dict[str, Tensor]:
    """All that an agent has when it begins."""
    agent = Agent.load(folder / case, tiny.TASK)
    return everything(agent.learner, agent._parts.tensors())


def learned(folder: Path, case: str) -> dict[str, Tensor]:
    """All that an agent has after some more transitions."""
    agent = Agent.load(folder / case, tiny.TASK)
    agent.lead('drift_car')
    tiny.learn(agent, tiny.transitions(EARLIER + STEPS)[EARLIER:])
    return everything(agent.learner, agent._parts.tensors())


def everything(learner: Learner, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in (learner.tensors() | parts).items()}


def main() -> None:
    """Learn, and leave what was learned in a file."""
    folder = Path(sys.argv[1])
    found = {}
    if not crew.follows():
        crew.join('cpu')
        for case in CASES:
            found[case] = learned(folder, case)
            crew.dismiss()
        torch.save(found, folder / '0.pt')
        return
    begin, learners = crew._begin, []

    def keep(device: str) -> Learner:
        learners.append(begin(device))
        return learners[-1]

    crew._begin = keep
    crew.follow('cpu')
    for case, learner in zip(CASES, learners, strict=True):
        found[case] = everything(learner, {})
    torch.save(found, folder / '1.pt')
    assert distributed.rank() == 1


if __name__ == '__main__':
    main()
