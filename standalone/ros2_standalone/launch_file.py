# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a YAML launch file into checked entities that remember their lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ros2_standalone.errors import LaunchFileError, Ros2Error, SubstitutionError
from ros2_standalone.launch_schema import ENTITIES, Kind, Schema
from ros2_standalone.substitutions import check_calls
from ros2_standalone.template import parse_template

_REMEDY = 'use one of these, or a ROS 2 installation'


class _Table(dict[str, Any]):
    """A YAML mapping that remembers its own line and those of its keys, counted from 1."""

    line = 0
    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    """Safe YAML whose mappings are _Tables."""


def _construct_table(loader: _Loader, node: yaml.MappingNode) -> _Table:
    loader.flatten_mapping(node)
    table = _Table(loader.construct_pairs(node, deep=True))
    table.line = node.start_mark.line + 1
    table.lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    return table


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_table)


@dataclass
class Entity:
    """One entity (`node`, `arg`, a `param` of a node ...), keys and kinds already checked."""

    type_name: str
    file: Path
    line: int
    values: dict[str, Any] = field(default_factory=dict)
    nested: dict[str, list['Entity']] = field(default_factory=dict)
    children: list['Entity'] = field(default_factory=list)

    def get(self, key: str) -> Any:
        """Return a key's value, or None."""
        return self.values.get(key)

    def error(self, message: str) -> LaunchFileError:
        """Return an error at this entity's line."""
        return LaunchFileError(self.file, self.line, message)

    def walk(self) -> Iterator['Entity']:
        """Yield the entity and all its children's children."""
        yield self
        for child in self.children:
            yield from child.walk()


def yaml_beside(path: Path) -> Path:
    """Return the YAML launch file to read for path: X.launch.py stands for X.launch.yaml.

    :raises Ros2Error: a missing file, or a Python or XML launch file without YAML beside it.
    """
    if not path.is_file():
        raise Ros2Error(f"launch file '{path}' does not exist")
    if path.suffix in ('.yaml', '.yml'):
        return path
    if path.suffix == '.py':
        for suffix in ('.yaml', '.yml'):
            beside = path.with_suffix(suffix)
            if beside.is_file():
                return beside
    raise Ros2Error(
        f"'{path}' is not a YAML launch file and there is no '{path.with_suffix('.yaml').name}' "
        'beside it; the standalone ros2 runs YAML launch files only: use a ROS 2 installation'
    )


def load(path: Path) -> list[Entity]:
    """Read, check and return the top-level entities of a YAML launch file.

    :raises LaunchFileError: broken YAML, or anything beyond the subset; names file and line.
    """
    try:
        tree = yaml.load(path.read_text(encoding='utf-8'), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise LaunchFileError(path, line, f'not valid YAML: {error.problem}') from None
    if not isinstance(tree, _Table) or list(tree) != ['launch']:
        raise LaunchFileError(path, 1, "expected one root key 'launch'")
    root = tree['launch']
    children = root.get('children') if isinstance(root, _Table) else root
    return _children(path, tree.line, 'launch', children)


def _children(file: Path, line: int, owner: str, value: Any) -> list[Entity]:
    if not isinstance(value, list):
        raise LaunchFileError(
            file, line, f"'{owner}' needs a list of entities, or a key 'children' with one"
        )
    entities = []
    for item in value:
        if not isinstance(item, _Table) or len(item) != 1:
            at = item.line if isinstance(item, _Table) else line
            raise LaunchFileError(
                file, at, f"each entity in '{owner}' must be a mapping with one key, its type"
            )
        ((type_name, body),) = item.items()
        entities.append(_entity(file, item.lines[type_name], type_name, body))
    return entities


def _entity(file: Path, line: int, type_name: str, body: Any) -> Entity:
    schema = ENTITIES.get(type_name)
    if schema is None:
        raise LaunchFileError(
            file,
            line,
            f"'{type_name}' is not in the standalone subset of the launch format "
            f'({", ".join(sorted(ENTITIES))}); {_REMEDY}',
        )
    if schema.has_children and isinstance(body, list):
        return Entity(type_name, file, line, children=_children(file, line, type_name, body))
    return _checked(Entity(type_name, file, line), schema, body)


def _checked(entity: Entity, schema: Schema, body: Any) -> Entity:
    """Fill entity from its YAML body, checked against the schema."""
    name = entity.type_name
    if not isinstance(body, _Table):
        raise entity.error(f"'{name}' must be a mapping with the keys {', '.join(schema.keys())}")
    for key in schema.required:
        if key not in body:
            raise entity.error(f"'{name}' needs the key '{key}'")
    for key, value in body.items():
        place = Entity(name, entity.file, body.lines.get(str(key), entity.line))
        if key in schema.nested:
            entity.nested[key] = _nested(place, key, schema.nested[key], value)
        elif key == 'children' and schema.has_children:
            entity.children = _children(entity.file, place.line, name, value)
        elif kind := schema.required.get(key) or schema.optional.get(key):
            entity.values[key] = _value(place, key, kind, value)
        else:
            raise place.error(
                f"'{name}' has no key '{key}' in the standalone subset "
                f'({", ".join(schema.keys())}); {_REMEDY}'
            )
    if 'if' in body and 'unless' in body:
        raise entity.error("'if' and 'unless' cannot be used together")
    return entity


def _nested(owner: Entity, key: str, schema: Schema, value: Any) -> list[Entity]:
    if not isinstance(value, list) or not all(isinstance(item, _Table) for item in value):
        raise owner.error(f"'{key}' of '{owner.type_name}' must be a list of mappings")
    return [_checked(Entity(key, owner.file, item.line), schema, item) for item in value]


def _value(owner: Entity, key: str, kind: Kind, value: Any) -> Any:
    if not _fits(kind, value):
        shown = str(value).lower() if isinstance(value, bool) else value
        quoted = f"; quote it: {key}: '{shown}'" if kind in (Kind.TEXT, Kind.TEMPLATE) else ''
        raise owner.error(
            f"'{key}' of '{owner.type_name}' must be {kind.value}, got {value!r} "
            f'({type(value).__name__}){quoted}'
        )
    if kind is not Kind.TEXT:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                _check_template(owner, key, text)
    return value


def _check_template(owner: Entity, key: str, text: str) -> None:
    try:
        check_calls(parse_template(text))
    except SubstitutionError as error:
        raise owner.error(f"'{key}' of '{owner.type_name}': {error}") from None


def _fits(kind: Kind, value: Any) -> bool:
    match kind:
        case Kind.FLOAT:
            return isinstance(value, float) and value >= 0.0
        case Kind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.FLAG:
            return isinstance(value, bool | str)
        case Kind.VALUE:
            return is_parameter_value(value, may_hold_text=True)
        case _:
            return isinstance(value, str)


def is_parameter_value(value: Any, may_hold_text: bool = False) -> bool:
    """Tell whether a value may be a ROS parameter: a scalar, or a list of one scalar type.

    may_hold_text: text may stand for any item, because a substitution in it may become one.
    """
    if not isinstance(value, list):
        return isinstance(value, bool | int | float | str)
    types = {type(item) for item in value}
    if may_hold_text and len(types) > 1:
        types -= {str}
    return len(types) <= 1 and types <= {bool, int, float, str}
