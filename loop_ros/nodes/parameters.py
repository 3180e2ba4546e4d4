# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters with descriptors; the planner's settings among them may change while it drives."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from loop_ros.settings import PlannerSettings

LARGEST_INTEGER = 2**63 - 1
_EXPONENT = re.compile(r'[-+]?\d+[eE][-+]?\d+')  # text to YAML 1.1, and so to `ros2 param set`


def declare(
    node: Node,
    name: str,
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = '',
    choices: Sequence[str] = (),
    read_only: bool = True,
) -> Any:
    """Declare a parameter with its descriptor and return its value.

    An argument of the launch file comes as `launch.` and the parameter's name, text behind an `=`:
    where it is not empty it wins over a parameter file. A number of the other kind (d0:=1) is
    converted, which rclpy would refuse: so what is given is read first, by untyped declarations.
    """
    given = _given(node, f'launch.{name}', '')
    if isinstance(given, str):
        given = given.removeprefix('=')
    if given == '':
        given = _given(node, name, default)
    value = convert(given, type(default))
    if isinstance(default, str) and isinstance(value, int | float):
        raise ValueError(
            f'{name}: YAML reads this as {given!r}, and how it was written is lost; quote it twice '
            f'({name}:="\'007\'"), in a file once'
        )
    if type(value) is not type(default):
        raise ValueError(f'{name}: {given!r} is not of the type {type(default).__name__}')
    if choices and value not in choices:
        raise ValueError(f'{name}: {value!r} is not one of {", ".join(choices)}')
    descriptor = _descriptor(default, minimum, maximum, choices)
    descriptor.description = f'{description} [{unit}]' if unit else description
    descriptor.read_only = read_only
    return node.declare_parameter(name, value, descriptor, ignore_override=True).value


def _descriptor(
    default: Any, minimum: float | None, maximum: float | None, choices: Sequence[str]
) -> ParameterDescriptor:
    """What a parameter may be."""
    descriptor = ParameterDescriptor()
    if choices:
        descriptor.additional_constraints = f'one of: {", ".join(choices)}'
    elif isinstance(default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(-sys.float_info.max if minimum is None else minimum),
                to_value=float(sys.float_info.max if maximum is None else maximum),
            )
        ]
    elif isinstance(default, int) and not isinstance(default, bool):
        descriptor.integer_range = [
            IntegerRange(
                from_value=-LARGEST_INTEGER if minimum is None else int(minimum),
                to_value=LARGEST_INTEGER if maximum is None else int(maximum),
            )
        ]
    return descriptor


def declare_clock(node: Node) -> tuple[bool, float]:
    """Whether the robot drives in real time, and how fast its clock runs otherwise.

    ValueError where these do not fit together.
    """
    step_mode = declare(
        node,
        'step_mode',
        'lockstep',
        'lockstep: every state waits for the plan that answers it; realtime: a step takes the '
        'newest command, and a late plan is replaced by a fallback',
        choices=('lockstep', 'realtime'),
    )
    speed = declare(
        node,
        'speed',
        1.0,
        'simulated seconds per second, 1 on a robot; 0: as fast as it goes (lockstep only)',
        minimum=0,
        maximum=1000,
    )
    realtime = step_mode == 'realtime'
    if realtime and speed == 0:
        raise ValueError('speed: 0 (as fast as it goes) needs step_mode lockstep')
    return realtime, speed


def declare_numbers(
    node: Node,
    name: str,
    default: Sequence[float],
    description: str,
    *,
    most: int | None = None,
) -> NDArray[np.float64]:
    """Declare a parameter of numbers from 0 and return them: as many as the default has.

    With `most`, from one to so many.
    """
    given = _given(node, name, list(default))
    constraint = f'{len(default)} numbers from 0' if most is None else f'1 to {most} numbers from 0'
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    counts = [len(default)] if most is None else range(1, most + 1)
    sound = values.ndim == 1 and len(values) in counts
    if not sound or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f'{name}: {given!r} is not {constraint}')
    descriptor = ParameterDescriptor(
        description=description, additional_constraints=constraint, read_only=True
    )
    node.declare_parameter(name, values.tolist(), descriptor, ignore_override=True)
    return values


def _given(node: Node, name: str, default: Any) -> Any:
    """What a parameter was given at the start, of any type."""
    value = node.declare_parameter(name, default, ParameterDescriptor(dynamic_typing=True)).value
    node.undeclare_parameter(name)
    return value


def convert(value: Any, wanted: type) -> Any:
    """A whole number where a double is wanted and the reverse, 1e-6 too; else as it is."""
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is int and type(value) is float and value.is_integer():
        return int(value)
    if wanted is float and type(value) is str and _EXPONENT.fullmatch(value):
        return float(value)
    return value


class PlannerParameters:
    """Every planner setting as a parameter of the node; `on_change` gets valid changes only."""

    def __init__(
        self, node: Node, defaults: PlannerSettings, on_change: Callable[[PlannerSettings], None]
    ) -> None:
        """Declare them all; ValueError where the values given at the start do not fit together."""
        self._types: dict[str, type] = {}
        self._log = node.get_logger()
        self._on_change = on_change
        values = {}
        for item in dataclasses.fields(defaults):
            default = getattr(defaults, item.name)
            known = ('description', 'minimum', 'maximum', 'unit', 'choices')
            details: dict[str, Any] = {key: item.metadata[key] for key in known}
            self._types[item.name] = type(default)
            values[item.name] = declare(
                node, item.name, default, read_only=not item.metadata['live'], **details
            )
        self.settings = dataclasses.replace(defaults, **values)
        node.add_pre_set_parameters_callback(self._convert)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _convert(self, parameters: list[Parameter]) -> list[Parameter]:
        """Accept an integer for a double, before rclpy compares types."""
        return [
            Parameter(p.name, value=convert(p.value, self._types[p.name]))
            if p.name in self._types and p.value is not None
            else p
            for p in parameters
        ]

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse with the reason; changes nothing, for another callback may still refuse."""
        try:
            dataclasses.replace(self.settings, **self._changes(parameters))
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        changes = self._changes(parameters)
        if changes:
            self.settings = dataclasses.replace(self.settings, **changes)
            if 'd0' in changes and not self.settings.constrained:
                self._log.warning(d0_is_ignored(self.settings))
            self._on_change(self.settings)

    def _changes(self, parameters: list[Parameter]) -> dict[str, Any]:
        return {p.name: p.value for p in parameters if p.name in self._types}


def d0_is_ignored(settings: PlannerSettings) -> str:
    """Whoever sets a threshold should know that nothing keeps it."""
    return f'algorithm {settings.algorithm} ignores d0: safe_arc and safe_cem keep it'


def differences(settings: PlannerSettings, others: PlannerSettings) -> str:
    """What differs in settings, with the other value behind each."""
    pairs = ((item.name, getattr(settings, item.name), getattr(others, item.name))
             for item in dataclasses.fields(settings))  # fmt: skip
    return ', '.join(f'{name} {mine} ({other})' for name, mine, other in pairs if mine != other)
