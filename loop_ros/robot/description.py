# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a robot file and says everything that is wrong in it; docs/robot.md explains every key."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from pathlib import Path

from loop_ros.robot import marked
from loop_ros.robot.contents import (
    Component,
    EpisodeRules,
    Input,
    Output,
    Quantity,
    Robot,
    TakeoverRules,
)
from loop_ros.robot.fields import Field, Sectors
from loop_ros.robot.marked import Section
from loop_ros.sim import registry
from loop_ros.sim.task import Task

UNITS = {  # factors to SI (REP 103)
    **dict.fromkeys(('m', 'rad', 's', 'm/s', 'rad/s', 'm/s^2', 'N', 'Nm', '1', ''), 1.0),
    'mm': 1e-3,
    'cm': 1e-2,
    'km/h': 1 / 3.6,
    'deg': math.pi / 180,
    'deg/s': math.pi / 180,
    'rpm': math.pi / 30,
    'g': 9.80665,
}
STARTS = ('operator', 'auto', 'service', 'script')


def load(path: Path | str, task: Task | None = None) -> Robot:
    """Read a robot file, for `task` instead of the file's own where one is given.

    ValueError lists everything that is wrong, each with its line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f'robot file {path}: no such file')
    top, mistakes = marked.read(path)
    top.only('task', 'inputs', 'observation', 'command', 'takeover', 'episode')
    task = task or _task(top)
    if task is not None and task.reward is None:
        top.wrong(
            f"task '{task.name}' has no reward function: a robot's steps cannot be judged", 'task'
        )
    robot = None if task is None else _robot(top, path, task)
    mistakes.report()
    assert robot is not None
    return robot


def _task(top: Section) -> Task | None:
    try:
        return registry.task(top.text('task'))
    except (ValueError, ImportError) as error:
        top.wrong(str(error), 'task')
        return None


def _robot(top: Section, path: Path, task: Task) -> Robot | None:
    missing = [key for key in ('inputs', 'observation', 'command') if key not in top]
    for key in missing:
        top.wrong(f'no {key}')
    if missing:
        return None
    inputs = {name: _input(name, found) for name, found in top.section('inputs').sections()}
    return Robot(
        path=path,
        task=task,
        inputs=inputs,
        quantities=_quantities(top.section('observation'), task, inputs),
        command=_output(top.section('command'), task),
        takeover=_takeover(top.section('takeover'), task) if 'takeover' in top else None,
        episode=_episode(top.section('episode'), task) if 'episode' in top else EpisodeRules(),
    )


def _input(name: str, found: Section) -> Input:
    found.only('topic', 'type', 'max_age', 'frame', 'child_frame')
    return Input(
        name=name,
        topic=found.text('topic'),
        type=_type(found),
        max_age=found.number('max_age', math.inf, low=1e-3),
        frame=found.text('frame', ''),
        child_frame=found.text('child_frame', ''),
        line=found.line,
    )


def _type(found: Section, key: str = 'type', middle: str = 'msg', default: str = '') -> str:
    """A type's name in three parts, also where the middle one is left out."""
    text = found.text(key, default) if default else found.text(key)
    parts = text.split('/')
    if len(parts) == 2:
        parts.insert(1, middle)
    if text and (len(parts) != 3 or parts[1] != middle or not all(parts)):
        found.wrong(f"{found.name}.{key} is '{text}', not a type as package/{middle}/Name", key)
    return '/'.join(parts)


def _quantities(section: Section, task: Task, inputs: dict[str, Input]) -> tuple[Quantity, ...]:
    found = []
    given: dict[str, int] = {}
    for pattern, entry in section.sections():
        labels = tuple(name for name in task.observation_labels if fnmatchcase(name, pattern))
        if not labels:
            known = ', '.join(task.observation_labels)
            entry.wrong(f"'{pattern}' is no observation of task '{task.name}', which has {known}")
            continue
        for label in labels:
            if label in given:
                entry.wrong(f"'{label}' stands in line {given[label]} already")
            given[label] = entry.line
        quantity = _quantity(labels, entry, inputs)
        if quantity is not None:
            found.append(quantity)
    missing = [label for label in task.observation_labels if label not in given]
    if missing:
        section.wrong(f'observation has no {", ".join(missing)}')
    return tuple(found)


def _quantity(labels: tuple[str, ...], entry: Section, inputs: dict[str, Input]) -> Quantity | None:
    if 'value' in entry:
        return _constant(labels, entry)
    scan = 'sectors' in entry
    keys = ('sectors', 'reduce', 'from', 'to', 'farthest') if scan else ('field', 'relative_to')
    entry.only('input', *keys, 'scale', 'offset', 'unit', 'min', 'max')
    name = entry.text('input')
    relative_to = '' if scan else entry.text('relative_to', '')
    for key, known in (('input', name), ('relative_to', relative_to)):
        if known and known not in inputs:
            entry.wrong(f"{entry.name}.{key} is '{known}'; inputs are {', '.join(inputs)}", key)
    source = _sectors(entry, labels) if scan else _field(entry, 'field')
    if not scan and len(labels) > 1:
        entry.wrong(f'{entry.name} stands for {len(labels)} observations, and one field is one')
    if source is None:
        return None
    if relative_to and isinstance(source, Field) and source.path not in ('x', 'y', 'yaw'):
        entry.wrong(f'{entry.name}.field is x, y or yaw where relative_to is given', 'field')
    return Quantity(
        labels=labels,
        input=name,
        source=source,
        relative_to=relative_to,
        scale=_scale(entry),
        offset=entry.number('offset', 0.0),
        low=entry.number('min', -math.inf),
        high=entry.number('max', math.inf),
        line=entry.line,
    )


def _constant(labels: tuple[str, ...], entry: Section) -> Quantity:
    entry.only('value')
    value = entry.number('value')
    return Quantity(labels, '', value, '', 1.0, 0.0, -math.inf, math.inf, entry.line)


def _sectors(entry: Section, labels: tuple[str, ...]) -> Sectors | None:
    count = entry.number('sectors', low=1, high=10_000)
    start, end = entry.number('from', -math.pi), entry.number('to', math.pi)
    if count == count and int(count) != len(labels):
        entry.wrong(f'{entry.name}.sectors is {count:g} for {len(labels)} observations', 'sectors')
    if not start < end:
        entry.wrong(f'{entry.name}: from {start:g} is not below to {end:g}', 'from')
    reduce = entry.text('reduce', 'min', choices=('min', 'mean'))
    farthest = entry.number('farthest', 10.0, low=1e-3)
    if not (count == count and start < end):
        return None
    return Sectors(int(count), start, end, farthest, reduce == 'mean')


def _field(entry: Section, key: str) -> Field | None:
    text = entry.text(key)
    try:
        return Field(text) if text else None
    except ValueError as error:
        entry.wrong(f'{entry.name}.{key}: {error}', key)
        return None


def _scale(entry: Section, sends: bool = False) -> float:
    """The factor from a message's number to SI, or back for one that is sent."""
    unit = entry.text('unit', '')
    if unit not in UNITS:
        entry.wrong(f"{entry.name}.unit '{unit}' is unknown; use {', '.join(UNITS)}", 'unit')
    scale = entry.number('scale', 1.0)
    if scale == 0:
        entry.wrong(f'{entry.name}.scale is 0', 'scale')
    factor = UNITS.get(unit, 1.0)
    return scale / factor if sends else scale * factor


def _components(section: Section, task: Task, sends: bool) -> tuple[Component, ...]:
    """One for each action: what is sent is scale * action + offset, what comes the reverse."""
    if 'fields' not in section:
        section.wrong(f'{section.name} has no fields')
        return ()
    entries = dict(section.section('fields').sections())
    for label, entry in entries.items():
        entry.only('field', 'scale', 'offset', 'unit')
        if label not in task.action_labels:
            known = ', '.join(task.action_labels)
            entry.wrong(f"'{label}' is no action of task '{task.name}', which has {known}")
    found = []
    for label in task.action_labels:
        if label not in entries:
            section.wrong(f'{section.name}.fields has no {label}', 'fields')
            continue
        entry = entries[label]
        path = _field(entry, 'field')
        scale, offset = _scale(entry, sends), entry.number('offset', 0.0)
        if path is not None and scale:
            back = Component(path, 1 / scale, -offset / scale)
            found.append(Component(path, scale, offset) if sends else back)
    return tuple(found)


def _output(section: Section, task: Task) -> Output:
    section.only('topic', 'type', 'frame', 'rate', 'between', 'on_silence', 'fields')
    rate = 1 / task.control_period
    return Output(
        topic=section.text('topic'),
        type=_type(section),
        frame=section.text('frame', ''),
        rate=section.number('rate', rate, low=0.99 * rate, high=10_000),
        interpolate=section.text('between', 'hold', choices=('hold', 'interpolate'))
        == 'interpolate',
        hold_on_silence=section.text('on_silence', 'safe', choices=('safe', 'hold')) == 'hold',
        components=_components(section, task, sends=True),
        line=section.line,
    )


def _takeover(section: Section, task: Task) -> TakeoverRules:
    section.only('topic', 'type', 'deadman', 'timeout', 'blend', 'fields')
    return TakeoverRules(
        topic=section.text('topic'),
        type=_type(section),
        deadman=_field(section, 'deadman') if 'deadman' in section else None,
        timeout=section.number('timeout', 0.3, low=1e-3, high=60),
        blend=section.number('blend', 0.5, low=0, high=60),
        components=_components(section, task, sends=False),
        line=section.line,
    )


def _episode(section: Section, task: Task) -> EpisodeRules:
    section.only('start', 'service', 'service_type', 'script', 'settle')
    start = section.text('start', 'operator', choices=STARTS)
    for needed in ('service', 'script'):
        if start == needed and needed not in section:
            section.wrong(f'{section.name}.start is {needed}, and there is no {needed}', 'start')
    script = []
    for step in section.items('script') if 'script' in section else []:
        step.only('command', 'duration')
        command = step.numbers('command', len(task.action_labels))
        script.append((command, step.number('duration', low=0, high=3600)))
    return EpisodeRules(
        start=start,
        service=section.text('service', ''),
        service_type=_type(section, 'service_type', 'srv', 'std_srvs/srv/Trigger'),
        script=tuple(script),
        settle=section.number('settle', 1.0, low=0, high=3600),
    )
