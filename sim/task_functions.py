# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A task's functions tried on made-up numbers: what does not fit shows before anything learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from loop_ros.sim.drawing import Circle
from loop_ros.sim.task import Task

LEADING = (2, 3)  # rollouts have sequences and particles before the numbers of a state


def check_functions(task: Task) -> None:
    """ValueError that says which functions fail, or give tensors of another shape or type."""
    wrong = list(_wrong(task))
    if wrong:
        raise ValueError(f"task '{task.name}': {'; '.join(wrong)}")


def _wrong(task: Task) -> Iterator[str]:
    generator = torch.Generator().manual_seed(0)

    def numbers(size: int) -> Tensor:
        return torch.rand((*LEADING, size), generator=generator, dtype=torch.float64)

    observation, after = (numbers(len(task.observation_labels)) for _ in range(2))
    action = numbers(len(task.action_labels))
    state, next_state = numbers(task.state_dim), numbers(task.state_dim)
    yield from _tensor('encode', task.encode, (observation,), task.state_dim)
    yield from _tensor('cost', task.cost, (state,))
    yield from _tensor('termination', task.termination, (state,), flags=True)
    yield from _tensor('goal_resampled', task.goal_resampled, (state,), flags=True)
    yield from _tensor('reward', task.reward, (observation, action, after))
    yield from _tensor('decode', task.decode, (state,), len(task.observation_labels))
    moved = task.predictable_next_state
    yield from _tensor('predictable_next_state', moved, (state, next_state), task.state_dim)
    yield from _metrics(task, observation)
    yield from _picture(task, observation, state)


def _tensor(
    name: str,
    function: Callable[..., Tensor] | None,
    arguments: tuple[Tensor, ...],
    size: int | None = None,
    flags: bool = False,
) -> Iterator[str]:
    """What is wrong with one function; `size` of the last dimension, None: there is none."""
    if function is None:
        return
    given = ', '.join(str(list(argument.shape)) for argument in arguments)
    try:
        found: Any = function(*arguments)
    except Exception as error:  # it is someone else's code
        yield f'{name} fails on {given}: {type(error).__name__}: {error}'
        return
    wanted = [*LEADING] if size is None else [*LEADING, size]
    if not isinstance(found, Tensor):
        yield f'{name} gives {type(found).__name__}, not a tensor'
    elif list(found.shape) != wanted:
        yield f'{name} of {given} gives {list(found.shape)}, not {wanted}'
    elif flags and found.dtype != torch.bool:
        yield f'{name} gives {found.dtype}, not torch.bool'


def _metrics(task: Task, observation: Tensor) -> Iterator[str]:
    try:
        found: Any = task.metrics(observation[0, 0].numpy())
        if not found or not all(isinstance(value, float) for value in found.values()):
            yield f'metrics gives {found!r}, not named numbers of the type float'
        missing = [c.metric for c in task.drawing.curves if c.metric not in found]
        if missing:
            yield f'drawing has curves of {", ".join(missing)}, which metrics does not give'
    except Exception as error:  # it is someone else's code
        yield f'metrics fails on one observation: {type(error).__name__}: {error}'


def _picture(task: Task, observation: Tensor, state: Tensor) -> Iterator[str]:
    """Of `path` and `drawing.around`, which viewers draw."""
    seen, states, around = observation[0, 0].numpy(), state[0].numpy(), task.drawing.around
    try:
        if task.path is not None and (shape := task.path(seen, states).shape) != (len(states), 3):
            yield f'path of {list(states.shape)} gives {list(shape)}, not {[len(states), 3]}'
        if around is not None and not all(isinstance(each, Circle) for each in around(seen)):
            yield f'drawing.around gives {around(seen)!r}, not circles'
    except Exception as error:  # it is someone else's code
        yield f'path or drawing.around fails: {type(error).__name__}: {error}'
