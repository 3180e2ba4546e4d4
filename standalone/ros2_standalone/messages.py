# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message types by name, messages as YAML, YAML into messages."""

import array
import importlib
from typing import Any

import yaml

from ros2_standalone.errors import Ros2Error

_SEQUENCES = (list, tuple, array.array)
_ELEMENTS = {'boolean': bool, 'double': float, 'float': float, 'string': str, 'wstring': str}


def message_class(type_name: str, kind: str = 'msg') -> Any:
    """Return the class of 'package/msg/Type' (or 'package/Type'); kind: msg or srv.

    :raises Ros2Error: no such type, or its package is not installed.
    """
    parts = type_name.split('/')
    if len(parts) == 2:
        parts.insert(1, kind)
    if len(parts) != 3 or parts[1] != kind or not all(parts):
        raise Ros2Error(f"'{type_name}' is no {kind} type; write it as 'package/{kind}/Type'")
    package, _, name = parts
    try:
        return getattr(importlib.import_module(f'{package}.{kind}'), name)
    except ModuleNotFoundError:
        wheel = f'ros-jazzy-{package.replace("_", "-")}'
        raise Ros2Error(
            f"the package of '{type_name}' is not installed; try: pip install {wheel}"
        ) from None
    except AttributeError:
        raise Ros2Error(f"the package '{package}' has no {kind} type '{name}'") from None


def to_yaml(
    message: Any,
    truncate_length: int | None = None,
    no_arr: bool = False,
    no_str: bool = False,
    flow_style: bool = False,
) -> str:
    """Return a message, or one field of one, as `ros2 topic echo` shows it."""
    plain = to_plain(message, truncate_length, no_arr, no_str)
    text: str = yaml.safe_dump(
        plain, allow_unicode=True, sort_keys=False, width=2**31, default_flow_style=flow_style
    )
    return text.removesuffix('...\n')  # YAML's end mark after a lone scalar


def to_plain(
    value: Any, truncate_length: int | None = None, no_arr: bool = False, no_str: bool = False
) -> Any:
    """Return a field's value as dictionaries, lists and scalars."""
    if hasattr(value, 'get_fields_and_field_types'):
        return {
            name: _field(getattr(value, name), type_name, truncate_length, no_arr, no_str)
            for name, type_name in value.get_fields_and_field_types().items()
        }
    if isinstance(value, bytes):
        return _truncated(list(value), truncate_length)
    if isinstance(value, str):
        too_long = truncate_length is not None and len(value) > truncate_length
        return value[:truncate_length] + '...' if too_long else value
    if isinstance(value, _SEQUENCES) or hasattr(value, 'tolist'):
        items = value.tolist() if hasattr(value, 'tolist') else list(value)
        if not isinstance(items, list):
            return items  # a numpy scalar
        rest = ['...'] if truncate_length is not None and len(items) > truncate_length else []
        shown = [to_plain(x, truncate_length, no_arr, no_str) for x in items[:truncate_length]]
        return shown + rest
    return value


def _field(
    value: Any, type_name: str, truncate_length: int | None, no_arr: bool, no_str: bool
) -> Any:
    if no_arr and ('[' in type_name or type_name.startswith('sequence')):
        return f'<array type: {type_name}>'
    if no_str and type_name == 'string':
        return f'<string length: <{len(value)}>>'
    return to_plain(value, truncate_length, no_arr, no_str)


def _truncated(items: list[Any], length: int | None) -> list[Any]:
    return items if length is None or len(items) <= length else [*items[:length], '...']


def set_fields(message: Any, values: Any) -> None:
    """Set fields of a message from a dictionary.

    :raises Ros2Error: an unknown field or a value of the wrong type.
    """
    fields = message.get_fields_and_field_types()
    if not isinstance(values, dict):
        raise Ros2Error(f"expected a dictionary like '{{field: value}}', got {values!r}")
    for name, value in values.items():
        if name not in fields:
            known = ', '.join(fields) or 'none'
            raise Ros2Error(f"{type(message).__name__} has no field '{name}' (fields: {known})")
        current = getattr(message, name)
        if hasattr(current, 'get_fields_and_field_types'):
            set_fields(current, value)
            continue
        try:
            setattr(message, name, _converted(fields[name], current, value))
        except (AssertionError, TypeError, ValueError) as error:
            raise Ros2Error(f"field '{name}' ({fields[name]}): {error}") from None


def _converted(type_name: str, current: Any, value: Any) -> Any:
    """Return a value as a field of this type takes it; current: the field's default value."""
    is_sequence = '[' in type_name or type_name.startswith('sequence<')
    if not is_sequence:
        return _scalar(type(current), value)
    if not isinstance(value, list):
        raise TypeError(f'expected a list, got {value!r}')
    element = type_name.removeprefix('sequence<').split('[')[0].split(',')[0].rstrip('>')
    if '/' not in element:
        return [_scalar(_ELEMENTS.get(element, int), item) for item in value]
    items = []
    for item in value:
        items.append(message_class(element)())
        set_fields(items[-1], item)
    return items


def _scalar(wanted: type, value: Any) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise TypeError(f'expected {wanted.__name__}, got {value!r}')
    return value


def parse_values(text: str) -> Any:
    """Return YAML values from the command line.

    :raises Ros2Error: not valid YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Ros2Error(f"'{text}' is not valid YAML: {error}") from None
