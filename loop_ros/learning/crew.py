# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One learner on several processes: the first takes transitions in, all of them train.

Whatever the first process adds and updates, it tells the others before, and these do the same.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import timedelta
from enum import IntEnum, auto

import torch

from loop_ros import checkpoint, distributed
from loop_ros.learning.learner import Learner
from loop_ros.models.parts import Parts
from loop_ros.settings import Settings
from loop_ros.sim import registry
from loop_ros.types import Batch

# Of one wait for the first process: a robot may stand still for long. One that died is noticed.
PATIENCE = timedelta(days=365)


class Order(IntEnum):
    """What the others are told."""

    BEGIN = auto()  # with an agent like this one
    ADD = auto()  # these transitions
    UPDATE = auto()
    DISMISS = auto()


def join(device: str) -> str:
    """Meet the other processes that torchrun started, if so; the device of this one."""
    return distributed.init(device, PATIENCE, interrupts=False)


def lead(learner: Learner, parts: Parts, task_name: str) -> None:
    """Have the other processes learn as this learner of a task; nothing where there are none.

    `task_name` is as `registry.task` takes it. ValueError where batches cannot be divided.
    """
    if distributed.size() == 1:
        return
    distributed.check_divisible(learner.settings)
    metadata = {
        'task': task_name,
        'settings': learner.settings.to_dict(),
        'device': learner.generator.device.type,
        **learner.counters(),
    }
    _tell(Order.BEGIN)
    for content in (
        json.dumps(metadata).encode(),
        checkpoint.pack(parts.tensors(), {}),
        checkpoint.pack(learner.tensors(), {}),
    ):
        distributed.broadcast_bytes(content)
    learner.on_add, learner.on_update = _tell_transitions, lambda: _tell(Order.UPDATE)


def dismiss() -> None:
    """Let the others wait for the next `lead`, or for the end of this process."""
    if distributed.size() > 1:
        _tell(Order.DISMISS)


def follow(device: str) -> None:
    """Learn what the first process learns, until it ends; ConnectionError where it was lost."""
    device = join(device)
    learner: Learner | None = None
    while True:
        try:
            order, number = _told()
        except ConnectionError:
            if learner is None:  # it has ended
                return
            raise
        if order == Order.BEGIN:
            learner = _begin(device)
        elif order == Order.DISMISS or learner is None:
            learner = None
        elif order == Order.ADD:
            learner.add(_told_transitions(learner, number))
        else:
            learner.update(lambda: False)


def run() -> int:
    """Follow as a process of its own; its exit code.

    Ctrl-C is sent to all: what waits to be learned is for the first process to finish.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        follow('cuda' if torch.cuda.is_available() else 'cpu')
    except (ConnectionError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr, flush=True)
        return 1
    return 0


def follows() -> bool:
    """Whether this process is one of several and not the first."""
    return distributed.are_several() and int(os.environ['RANK']) > 0


def _begin(device: str) -> Learner:
    """A learner like the first process's own."""
    metadata = json.loads(distributed.broadcast_bytes(None))
    weights, training = (distributed.broadcast_bytes(None) for _ in range(2))
    task = registry.task(metadata['task'])
    settings = Settings.from_dict(metadata['settings'], 'the first process')
    usable = torch.device(device if metadata['device'] == 'cuda' else 'cpu')
    parts = Parts.make(task, settings)
    for network in parts:
        network.to(usable)
    tensors, _ = checkpoint.unpack(weights, 'weights of the first process')
    checkpoint.take_over(tensors, parts.tensors(), 'weights of the first process')
    learner = Learner(parts, task, settings, torch.Generator(usable))
    tensors, _ = checkpoint.unpack(training, 'training state of the first process')
    learner.restore(tensors, metadata)
    return learner


def _tell(order: Order, number: int = 0) -> None:
    distributed.broadcast_numbers(torch.tensor([order, number]))


def _told() -> tuple[Order, int]:
    told = torch.zeros(2, dtype=torch.int64)
    distributed.broadcast_numbers(told)
    return Order(int(told[0])), int(told[1])


def _tell_transitions(batch: Batch) -> None:
    table = batch.table().cpu()
    _tell(Order.ADD, len(table))
    distributed.broadcast_numbers(table)


def _told_transitions(learner: Learner, number: int) -> Batch:
    sizes = learner.task.state_dim, len(learner.task.action_labels)
    table = torch.zeros(number, 2 * sizes[0] + sizes[1] + 3)
    distributed.broadcast_numbers(table)
    return Batch.from_table(table, *sizes)
