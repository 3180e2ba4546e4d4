# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A snapshot as a folder: snapshot.json, the columns, the weights and a bag; nothing is pickled.

The JSON names the digests of the other files: a snapshot is whole, or what is broken is named.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop_ros import checkpoint
from loop_ros.checkpoint import SNAPSHOT_FILE
from loop_ros.control.flight_recorder import Recording, Trigger
from loop_ros.settings import PlannerSettings, Settings
from loop_ros.sim import registry
from loop_ros.sim.task import Task
from loop_ros.snapshots import bag, columns, environment, gathering
from loop_ros.snapshots.columns import Columns

BAG = 'bag'


@dataclass(frozen=True)
class Facts:
    """What is the same for all that a node records."""

    task: Task
    task_name: str  # as the node was told
    node: str  # with its namespace
    parameters: dict[str, Any]
    settings: Settings  # the planner's are those of each plan
    seed: int
    is_shadow: bool
    explore: bool
    num_threads: int


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was read and checked."""

    folder: Path
    task: Task
    metadata: dict[str, Any]  # as in snapshot.json
    triggers: list[Trigger]  # the first is why it was written; times by the wall clock
    reasons: list[str]
    settings: Settings
    planners: list[PlannerSettings]
    columns: Columns

    def weights(self, number: int) -> bytes:
        """A file of weights; ValueError says why it is not there."""
        if self.metadata['weights'][number] is None:
            raise ValueError('these weights were no longer kept when the snapshot was written')
        return checkpoint.read_file(self.folder, self.metadata, f'weights{number}')


def write(
    folder: Path,
    facts: Facts,
    recording: Recording,
    triggers: list[Trigger],
    pause: Callable[[], None] = lambda: None,
) -> None:
    """Write a snapshot into a new folder; OSError where the disk says no.

    `pause` is called between pieces of work, for a thread that is to leave others their time.
    """
    task, clock = facts.task, recording.to_wall_clock
    sizes = _sizes(task)
    tensors, texts = gathering.columns_of(recording, sizes, pause)
    read = columns.read(tensors, sizes, {name: len(part) for name, part in texts._asdict().items()})
    files = {'ticks': checkpoint.pack(tensors, {})}
    pause()
    files |= {f'weights{n}': data for n, data in enumerate(texts.weights) if data is not None}
    metadata = {
        'task': task.name,
        'task_name': facts.task_name,
        'node': facts.node,
        'triggers': [
            {'kind': each.kind, 'reason': each.reason, 'time': each.time + clock}
            for each in (*triggers, *(t for t in recording.triggers if t not in triggers))
        ],
        'seed': facts.seed,
        'explore': facts.explore,
        'num_threads': facts.num_threads,
        'devices': texts.devices,
        'environment': environment.here(),
        'weights': [None if d is None else hashlib.sha256(d).hexdigest() for d in texts.weights],
        'settings': facts.settings.to_dict(),
        'planners': [dataclasses.asdict(each) for each in texts.settings],
        'reasons': texts.reasons,
        'parameters': facts.parameters,
    }
    folder.mkdir(parents=True)
    namespace = facts.node.rpartition('/')[0]
    bag.write(folder / BAG, task, namespace, read, facts.is_shadow, pause)
    checkpoint.write(folder, files, metadata, SNAPSHOT_FILE)


def read(folder: Path, task_name: str | None = None) -> Snapshot:
    """A snapshot's content; ValueError says what is missing, broken, or of another task.

    A task of a module has to be named, as nothing that a file names is imported.
    """
    metadata = checkpoint.read_metadata(folder, SNAPSHOT_FILE)
    source = f'{folder / SNAPSHOT_FILE}'
    try:
        task = _task(_text(metadata['task_name']), task_name)
        if task.name != metadata['task']:
            raise ValueError(f"the task is '{task.name}' here, and was '{metadata['task']}'")
        triggers = [
            Trigger(_text(each['kind']), _text(each['reason']), int(each['time']))
            for each in metadata['triggers']
        ]
        if not triggers:
            raise ValueError('it does not say why it was written')
        counts = {
            name: len(metadata[key])
            for name, key in (
                ('reasons', 'reasons'),
                ('settings', 'planners'),
                ('weights', 'weights'),
                ('devices', 'devices'),
            )
        }
        settings = Settings.from_dict(metadata['settings'], source)
        planners = [PlannerSettings(**each) for each in metadata['planners']]
        reasons = [_text(reason) for reason in metadata['reasons']]
        for name in ('seed', 'num_threads'):
            metadata[name] = int(metadata[name])
        environment.check(metadata['environment'])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{source}: broken: {error!r}; copy it again') from None
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None
    data = checkpoint.read_file(folder, metadata, 'ticks')
    tensors, _ = checkpoint.unpack(data, f'{folder}: ticks')
    try:
        found = columns.read(tensors, _sizes(task), counts)
    except ValueError as error:
        raise ValueError(f'{folder}: ticks: {error}') from None
    return Snapshot(folder, task, metadata, triggers, reasons, settings, planners, found)


def _task(recorded: str, given: str | None) -> Task:
    if given is None and ':' in recorded:
        raise ValueError(f"of the task '{recorded}' of a module: name it with --task {recorded}")
    return registry.task(given or recorded)


def _sizes(task: Task) -> dict[str, int]:
    sizes = {'O': len(task.observation_labels), 'A': len(task.action_labels)}
    return {**sizes, 'S': task.state_dim}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{value!r} is no text')
    return value
