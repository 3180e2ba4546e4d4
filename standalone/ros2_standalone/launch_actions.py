# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Carries out a launch file: entities in, process specifications out."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ros2_standalone.context import Context
from ros2_standalone.errors import LaunchFileError, Ros2Error, SubstitutionError
from ros2_standalone.launch_file import Entity, load, yaml_beside
from ros2_standalone.node_command import (
    check_namespace,
    executable_command,
    join_namespace,
    node_command,
)
from ros2_standalone.process import ProcessSpec
from ros2_standalone.substitutions import is_true, resolve

_OUTPUTS = ('screen', 'log', 'both')


@dataclass
class Launch:
    """One run through a launch file and what it includes.

    directory: for parameters files; warn: told of what is odd but no error;
    processes: what to start, in order.
    """

    directory: Path
    warn: Callable[[str], None]
    processes: list[ProcessSpec] = field(default_factory=list)

    def carry_out(self, path: Path, arguments: dict[str, str]) -> list[ProcessSpec]:
        """Carry out a launch file with launch arguments and return the processes to start.

        :raises Ros2Error: whatever is wrong; nothing has been started then.
        """
        context = Context(path.absolute(), dict(arguments), dict(os.environ))
        self._all(load(path), context)
        return self.processes

    def _all(self, entities: list[Entity], context: Context) -> None:
        for entity in entities:
            try:
                if _applies(entity, context):
                    self._one(entity, context)
            except LaunchFileError:
                raise
            except Ros2Error as error:
                raise entity.error(str(error)) from None

    def _one(self, entity: Entity, context: Context) -> None:
        match entity.type_name:
            case 'arg':
                _declare(entity, context)
            case 'let':
                name, value = _pair(entity, context)
                context.configurations[name] = value
            case 'set_env':
                name, value = _pair(entity, context)
                context.environment[name] = value
            case 'push_ros_namespace' | 'push-ros-namespace':
                _push_namespace(entity, context)
            case 'group':
                self._group(entity, context)
            case 'include':
                self._include(entity, context)
            case _:
                self._process(entity, context)

    def _group(self, entity: Entity, context: Context) -> None:
        if entity.get('scoped') is False:
            self._all(entity.children, context)
            return
        inner = Context(context.file, dict(context.configurations), dict(context.environment))
        self._all(entity.children, inner)

    def _include(self, entity: Entity, context: Context) -> None:
        path = yaml_beside(Path(resolve(entity.get('file'), context)))
        for argument in entity.nested.get('arg', []):
            name, value = _pair(argument, context)
            context.configurations[name] = value  # seen after the include too, as upstream
        # The included file shares the configurations and the environment, but not the place.
        inner = Context(path.absolute(), context.configurations, context.environment)
        self._all(load(path), inner)

    def _process(self, entity: Entity, context: Context) -> None:
        if entity.type_name == 'node':
            command = node_command(entity, context, self.directory, self.warn)
            label = entity.get('exec_name')
        else:
            command = executable_command(entity, context)
            label = entity.get('name')
        if not command:
            raise entity.error("'cmd' is empty")
        name = resolve(label, context) if label is not None else Path(command[0]).name
        environment = dict(context.environment)
        for variable in entity.nested.get('env', []):
            key, value = _pair(variable, context)
            environment[key] = value
        cwd = entity.get('cwd')
        self.processes.append(
            ProcessSpec(
                name=f'{name}-{len(self.processes) + 1}',
                command=tuple(command),
                environment=environment,
                cwd=None if cwd is None else resolve(cwd, context),
                **_supervision(entity, context),
            )
        )


def _applies(entity: Entity, context: Context) -> bool:
    if entity.get('if') is not None:
        return is_true(entity.get('if'), context)
    return entity.get('unless') is None or not is_true(entity.get('unless'), context)


def _pair(entity: Entity, context: Context) -> tuple[str, str]:
    return resolve(entity.get('name'), context), resolve(entity.get('value'), context)


def _declare(entity: Entity, context: Context) -> None:
    name, default = entity.get('name'), entity.get('default')
    if name not in context.configurations:
        if default is None:
            raise entity.error(f"required launch argument '{name}' was not given; add {name}:=...")
        context.configurations[name] = resolve(default, context)
    choices = [choice.get('value') for choice in entity.nested.get('choice', [])]
    value = context.configurations[name]
    if choices and value not in choices:
        raise entity.error(
            f"launch argument '{name}' is '{value}', which is none of its choices: "
            f'{", ".join(choices)}'
        )


def _push_namespace(entity: Entity, context: Context) -> None:
    pushed = resolve(entity.get('namespace'), context)
    namespace = join_namespace(context.configurations.get('ros_namespace'), pushed) or '/'
    check_namespace(entity, namespace)
    context.configurations['ros_namespace'] = namespace


def _supervision(entity: Entity, context: Context) -> dict[str, Any]:
    """Return what a ProcessSpec says about output, exit and respawn."""
    on_exit = entity.get('on_exit')
    if on_exit not in (None, 'shutdown'):
        raise entity.error(f"'on_exit' can only be 'shutdown', got '{on_exit}'")
    output = resolve(entity.get('output') or 'log', context)
    if output not in _OUTPUTS:
        raise entity.error(f"'output' is '{output}'; use {', '.join(_OUTPUTS)}")
    settings = {
        'output': output,
        'shutdown_on_exit': on_exit == 'shutdown',
        'respawn': is_true(entity.get('respawn') or 'false', context),
        'respawn_delay': entity.get('respawn_delay') or 0.0,
    }
    if entity.get('respawn_max_retries') is not None:
        settings['respawn_max_retries'] = entity.get('respawn_max_retries')
    for key in ('sigterm_timeout', 'sigkill_timeout'):
        settings[key] = _seconds(entity, key, context)
    return settings


def _seconds(entity: Entity, key: str, context: Context) -> float:
    """Return a timeout in s: the entity's, else the launch configuration's, else 5."""
    value = entity.get(key)
    text = context.configurations.get(key, '5') if value is None else str(value)
    try:
        return float(text)
    except ValueError:
        raise SubstitutionError(f"'{key}' is '{text}'; it must be a number of seconds") from None
