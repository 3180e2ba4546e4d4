# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One of the processes of test_processes.py; torchrun starts it several times."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import offline
import tiny
import torch
from torch import Tensor

from loop_ros import distributed
from loop_ros.agent import Agent
from loop_ros.offline.training import OfflineTraining

ALGORITHMS = ('crr', 'plas', 'mbop')
UPDATES = 8


def fresh(algorithm: str) -> OfflineTraining:
    """Before its first step; the last batch of the ensemble's epochs is one that has no halves."""
    settings = offline.settings(algorithm)
    training = OfflineTraining(Agent(tiny.TASK, settings), offline.data(251), seed=1)
    assert int((~training.held_out).sum()) % settings.ensemble.batch_size % 2 == 1
    return training


def learned(algorithm: str) -> dict[str, Tensor]:
    """All that a training changes."""
    training = fresh(algorithm)
    training.fit_model()
    for _ in range(UPDATES):
        training.update()
    return everything(training)


def everything(training: OfflineTraining) -> dict[str, Tensor]:
    agent = training.agent
    parts = {'ensemble': agent.ensemble, 'actor': agent.actor, 'critic': agent.critic}
    return agent.learner.tensors() | {
        f'{part}.{name}': tensor
        for part, network in parts.items()
        for name, tensor in network.state_dict().items()
    }


def refusals(rank: int) -> list[str]:
    """What is said of numbers and texts that are not the same everywhere."""
    found = []
    try:
        distributed.broadcast([torch.zeros(3), torch.full((2,), float(rank))])
    except ValueError as error:
        found.append(str(error))
    try:
        distributed.check_same(f'digest {rank}', 'data')
    except ValueError as error:
        found.append(str(error))
    return found


def main(folder: Path) -> None:
    """Learn, and write what came of it; then the second process dies and the first goes on."""
    torch.set_num_threads(1)
    distributed.init('cpu')
    rank = distributed.rank()
    found = {algorithm: learned(algorithm) for algorithm in ALGORITHMS}
    torch.save((found, refusals(rank), os.getpid()), folder / f'{rank}.pt')
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    training = fresh('crr')
    while True:
        training.update()


if __name__ == '__main__':
    main(Path(sys.argv[1]))
