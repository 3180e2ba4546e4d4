# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every task by its name: those shipped, those of installed packages, and MODULE:OBJECT.

Behind any of them @N may stand, for N robots that its models tell apart.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import gymnasium

from loop_ros.sim import (
    drift_car,
    manipulation_tasks,
    mujoco_tasks,
    safety_gym_tasks,
    told_apart,
)
from loop_ros.sim.task import MARK, Task
from loop_ros.sim.task_functions import check_functions

GROUP = 'loop_ros.tasks'  # of entry points: name = module:TASK
SHIPPED = 'loop_ros'

_TASKS = {
    'drift_car': drift_car.TASK,
    **mujoco_tasks.TASKS,
    **manipulation_tasks.TASKS,
    **safety_gym_tasks.TASKS,
}


@dataclass(frozen=True)
class Source:
    """Who offers a name, and how the task is had: `load` raises ValueError where it is not."""

    name: str
    origin: str  # SHIPPED, or an installed package with its version and object
    load: Callable[[], Task]


def sources() -> list[Source]:
    """All that is offered, by name; nothing of an installed package is imported for it."""
    shipped = [Source(name, SHIPPED, partial(_TASKS.__getitem__, name)) for name in _TASKS]
    installed = [_source(point) for point in entry_points(group=GROUP)]
    return sorted([*shipped, *installed], key=lambda source: source.name)


def names() -> list[str]:
    """Names that `task` accepts, beside MODULE:OBJECT."""
    return sorted({source.name for source in sources()})


def task(name: str) -> Task:
    """The task of a name or of MODULE:OBJECT, either with @N behind it (`told_apart`).

    ValueError where there is none, where its module fails or the task is not sound, and where more
    than one package offers the name.
    """
    if MARK in name:
        base, _, robots = name.rpartition(MARK)
        return told_apart.tell_apart(task(base), robots)
    if ':' in name:
        return _imported(name, name)
    found = [source for source in sources() if source.name == name]
    if not found:
        raise ValueError(
            f"unknown task '{name}'; choose one of: {', '.join(names())}; or write where it is, as "
            'package.module:TASK'
        )
    if len(found) > 1:
        origins = ' and '.join(source.origin for source in found)
        raise ValueError(f"task '{name}' is offered by {origins}: rename or uninstall one of them")
    return found[0].load()


def make(name: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """A new environment of a task, as `Task.make` has it; ValueError for an unknown name."""
    return task(name).make(**kwargs)


def _source(point: EntryPoint) -> Source:
    package = f'{point.dist.name} {point.dist.version}' if point.dist else 'a package'
    origin = f'{package} ({point.value})'

    def load() -> Task:
        found = _imported(point.value, f'{point.name} of {origin}')
        if found.name != point.name:  # bags and checkpoints could not be traced to it
            raise ValueError(
                f"the entry point '{point.name}' of {origin} is a task with the name "
                f"'{found.name}': give both the same name"
            )
        return found

    return Source(point.name, origin, load)


def _imported(path: str, said: str) -> Task:
    """The task of MODULE:OBJECT; `said` is how an error names it."""
    module, _, attribute = path.partition(':')
    try:
        found: Any = importlib.import_module(module.strip())
        for part in attribute.strip().split('.'):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        remedy = 'install what is missing, or start in the folder that holds the package'
        raise ValueError(f'task {said}: {error}; {remedy}') from error
    except Exception as error:  # whatever someone else's module raises as it is imported
        raise ValueError(f'task {said}: {type(error).__name__}: {error}') from error
    if not isinstance(found, Task):
        kind = type(found).__name__
        raise ValueError(f'task {said}: is of the type {kind}, not a loop_ros.sim.task.Task')
    if MARK in found.name:
        raise ValueError(
            f"task {said}: its name is '{found.name}', but {MARK} stands between a task and a "
            'number of robots: choose a name without it'
        )
    try:
        check_functions(found)
    except ValueError as error:
        raise ValueError(f'task {said}: {error}') from None
    return found
