# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a setting is: a dataclass field with a description and limits, checked when it is made."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from dataclasses import field
from typing import Any, cast


def setting(
    default: Any,
    description: str,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = '',
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """A dataclass field with what a person and a ROS parameter descriptor need to know."""
    return field(
        default=default,
        metadata={
            'description': description,
            'minimum': minimum,
            'maximum': maximum,
            'unit': unit,
            'choices': choices,
            'live': live,
        },
    )


class Validated:
    """Checks each field against its type and metadata; integers are welcome for floats."""

    def __post_init__(self) -> None:
        for item in dataclasses.fields(cast(Any, self)):
            value = check(item.name, item.type, item.metadata, getattr(self, item.name))
            object.__setattr__(self, item.name, value)


def check(name: str, type_name: Any, metadata: Any, value: Any) -> Any:
    """The value in its field's type; ValueError names setting, value and what is allowed."""
    if metadata['choices']:
        if value not in metadata['choices']:
            raise ValueError(f'{name}: {value!r} is not one of {", ".join(metadata["choices"])}')
        return value
    if type_name == 'bool':
        if not isinstance(value, bool):
            raise ValueError(f'{name}: {value!r} is not true or false')
        return value
    if isinstance(value, str):  # YAML 1.1 reads 3e-4 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise ValueError(f'{name}: {value!r} is not a finite number')
    if type_name == 'int':
        if value != int(value):
            raise ValueError(f'{name}: {value!r} is not a whole number')
        value = int(value)
    else:
        value = float(value)
    low, high = metadata['minimum'], metadata['maximum']
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f'{name}: {value} is outside [{low}, {high}]')
    return value


def _finite(value: float) -> bool:
    with contextlib.suppress(OverflowError):  # an integer of more than 308 digits
        return math.isfinite(value)
    return False
