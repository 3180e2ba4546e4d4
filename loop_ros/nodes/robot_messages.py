# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of types that a robot file names: their classes, and ones with a place for an action."""

from __future__ import annotations

import importlib
import re
from typing import Any

from builtin_interfaces.msg import Duration

from loop_ros.nodes.managed import StartError
from loop_ros.robot.contents import Output
from loop_ros.robot.fields import ANGLES, NAMES, Field

_ELEMENT = re.compile(r'(?:sequence<(.+?)(?:, \d+)?>|(.+)\[\d+\])')


def interface(name: str, where: str) -> Any:
    """The class of 'package/msg/Name' or 'package/srv/Name'; StartError where it is not there."""
    package, kind, last = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.{kind}'), last)
    except (ImportError, AttributeError):
        raise StartError(
            f"{where}: no '{name}' here; install the package {package} and source its setup, or "
            'name another type'
        ) from None


def interfaces(wanted: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Classes by name, each wanted as its type and its place; StartError says what is missing."""
    found, wrong = {}, []
    for name, (kind, where) in wanted.items():
        try:
            found[name] = interface(kind, where)
        except StartError as error:
            wrong.append(str(error))
    if wrong:
        raise StartError('\n  '.join(wrong))
    return found


def template(output: Output, period: float, where: str) -> Any:
    """A message with a place for each component; StartError where its type has none.

    A trajectory's point is to be reached in one control period (s).
    """
    message = interface(output.type, where)()
    joints = list(dict.fromkeys(c.field.joint for c in output.components if c.field.joint))
    names = next((name for name in NAMES if hasattr(message, name)), None)
    if joints and names is None:
        raise StartError(f'{where}: {output.type} has no names of joints; use numbers, as data[0]')
    if joints and names is not None:
        setattr(message, names, joints)
    for component in output.components:
        _make_room(message, component.field, len(joints))
        try:
            component.field.write(message, 0.0)
            _check_kind(message, component.field)
        except (ValueError, AssertionError, TypeError) as error:
            raise StartError(f'{where}: {output.type}: {error}') from None
    if output.frame:
        if not hasattr(message, 'header'):
            raise StartError(f'{where}: {output.type} has no header for the frame')
        message.header.frame_id = output.frame
    for point in getattr(message, 'points', []):
        seconds = int(period)
        point.time_from_start = Duration(sec=seconds, nanosec=round((period - seconds) * 1e9))
    return message


def _make_room(message: Any, field: Field, num_joints: int) -> None:
    """Lengthen the arrays on the way to a field."""
    holder = message
    for step, following in zip(field.steps, [*field.steps[1:], ''], strict=True):
        if isinstance(step, str) and not step.startswith('['):
            if not hasattr(holder, step):
                return  # writing says so
            indexed = isinstance(following, int) or following.startswith('[')
            if indexed:
                length = following + 1 if isinstance(following, int) else num_joints
                _lengthen(holder, step, length)
            holder = getattr(holder, step)
        elif isinstance(step, int) and step < len(holder):
            holder = holder[step]
        else:
            return


def _check_kind(message: Any, field: Field) -> None:
    """ValueError where a field takes no fractions; rclpy says so only when it is published."""
    *steps, last = field.steps
    if last in ANGLES:
        return
    holder = message
    for step in steps if isinstance(last, str) and not last.startswith('[') else steps[:-1]:
        holder = holder[step] if isinstance(step, int) else getattr(holder, step)
    name = last if isinstance(last, str) and not last.startswith('[') else steps[-1]
    kind = holder.get_fields_and_field_types()[name]
    if not any(number in kind for number in ('double', 'float')):
        raise ValueError(f"'{field.path}' is of the type {kind}, which takes no such number")


def _lengthen(holder: Any, name: str, length: int) -> None:
    kind = _ELEMENT.fullmatch(holder.get_fields_and_field_types()[name])
    values = list(getattr(holder, name))
    if kind is None or len(values) >= length:
        return
    element = kind[1] or kind[2]
    make: Any = float
    if '/' in element:
        package, last = element.split('/')
        make = getattr(importlib.import_module(f'{package}.msg'), last)
    setattr(holder, name, values + [make() for _ in range(length - len(values))])
