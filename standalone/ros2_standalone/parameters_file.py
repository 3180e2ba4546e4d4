# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`param` entities of a node: typed as upstream types them, written as a ROS parameters file."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ros2_standalone.context import Context
from ros2_standalone.errors import SubstitutionError
from ros2_standalone.launch_file import Entity, is_parameter_value
from ros2_standalone.substitutions import is_true, perform, resolve
from ros2_standalone.template import Text, parse_template

_SCALARS: dict[str, type] = {'str': str, 'bool': bool, 'float': float, 'int': int}
_LISTS = {f'list_of_{name}': scalar for name, scalar in _SCALARS.items()}


def parameters_file(
    parameter: Entity, node: str, context: Context, directory: Path, warn: Callable[[str], None]
) -> Path | None:
    """Return the parameters file a `param` of a node stands for.

    node: the fully qualified node name or `/**`; directory: for the files written here.
    None, with a warning, where `from` names no file, as upstream does.
    :raises LaunchFileError: keys that do not go together, or a value of no parameter type.
    """
    source, name = parameter.get('from'), parameter.get('name')
    if (source is None) == (name is None):
        raise parameter.error("a 'param' needs either 'name' or 'from'")
    if source is not None:
        return _existing_file(parameter, source, context, directory, warn)
    if parameter.get('allow_substs') is not None:
        raise parameter.error("'allow_substs' goes only with 'from'")
    tree = {node: {'ros__parameters': _tree([parameter], context)}}
    return _write(directory, yaml.dump(tree, default_flow_style=False))


def _existing_file(
    parameter: Entity, source: str, context: Context, directory: Path, warn: Callable[[str], None]
) -> Path | None:
    path = Path(resolve(source, context))
    if not path.is_file():
        warn(f'Parameter file path is not a file: {path}')
        return None
    allowed = parameter.get('allow_substs') or False
    if not (is_true(allowed, context) if isinstance(allowed, str) else allowed):
        return path
    text = resolve(path.read_text(encoding='utf-8'), context)
    try:
        yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise parameter.error(f"'{path}' is not valid YAML after substitution: {error}") from None
    return _write(directory, text)


def _write(directory: Path, text: str) -> Path:
    with tempfile.NamedTemporaryFile(
        'w', encoding='utf-8', dir=directory, prefix='launch_params_', delete=False
    ) as file:
        file.write(text)
    return Path(file.name)


def _tree(parameters: list[Entity], context: Context, prefix: str = '') -> dict[str, Any]:
    """Return values by full name; a nested parameter's is outer.inner."""
    tree: dict[str, Any] = {}
    for parameter in parameters:
        nested = parameter.nested.get('param')
        if parameter.get('name') is None:
            raise parameter.error("a nested 'param' needs 'name'")
        if (parameter.get('value') is None) == (not nested):
            raise parameter.error("a 'param' needs either 'value' or nested 'param'")
        if nested and parameter.get('type') is not None:
            raise parameter.error("'type' does not go with nested 'param'")
        name = prefix + resolve(parameter.get('name'), context)
        if nested:
            tree.update(_tree(nested, context, f'{name}.'))
            continue
        try:
            tree[name] = _typed(parameter, context)
        except (SubstitutionError, ValueError) as error:
            raise parameter.error(f"parameter '{name}': {error}") from None
    return tree


def _typed(parameter: Entity, context: Context) -> Any:
    """Return a parameter's value: YAML's own types, and YAML's rules for substituted text."""
    value, type_name = parameter.get('value'), parameter.get('type')
    if type_name not in (None, 'yaml', *_SCALARS, *_LISTS):
        known = ', '.join(['yaml', *_SCALARS, *_LISTS])
        raise parameter.error(f"'{type_name}' is no parameter type; use one of {known}")
    if isinstance(value, list):
        result: Any = [_item(item, _LISTS.get(type_name or ''), context) for item in value]
    else:
        result = _item(value, _SCALARS.get(type_name or ''), context)
    if not is_parameter_value(result):
        raise ValueError(f'{result!r} is no parameter value: use a scalar or a list of one type')
    if type_name and type_name != 'yaml' and not _is_of_type(type_name, result):
        raise ValueError(f"{result!r} is not of the type '{type_name}'")
    return result


def _item(item: Any, scalar: type | None, context: Context) -> Any:
    if not isinstance(item, str):
        return item
    template = parse_template(item)
    if len(template) == 1 and isinstance(template[0], Text):
        return template[0].text  # text without a substitution stays text: '1' is no number
    text = perform(template, context)
    if scalar in (str, int, float):
        return scalar(text)
    if scalar is bool and text in ('0', '1'):
        return text == '1'
    try:
        return yaml.safe_load(text) if text else text
    except yaml.YAMLError:
        raise ValueError(f"'{text}' is not valid YAML; add type: str to keep it text") from None


def _is_of_type(type_name: str, value: Any) -> bool:
    if type_name in _LISTS:
        return isinstance(value, list) and all(type(x) is _LISTS[type_name] for x in value)
    return type(value) is _SCALARS[type_name]
