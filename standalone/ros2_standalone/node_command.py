# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of a `node` or an `executable`."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from ros2_standalone.context import Context
from ros2_standalone.errors import SubstitutionError
from ros2_standalone.launch_file import Entity
from ros2_standalone.packages import package_executable
from ros2_standalone.parameters_file import parameters_file
from ros2_standalone.substitutions import perform, resolve
from ros2_standalone.template import Call, Text, parse_template

_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*\Z')


def executable_command(entity: Entity, context: Context) -> list[str]:
    """Return the words of an `executable`."""
    return _words(entity.get('cmd'), context)


def node_command(
    entity: Entity, context: Context, directory: Path, warn: Callable[[str], None]
) -> list[str]:
    """Return the words of a `node`, ROS arguments in upstream's order.

    directory: for parameters files; warn: told of what upstream only warns of.
    :raises Ros2Error: no such executable, or a name or parameter that is not valid.
    """
    executable = resolve(entity.get('exec'), context)
    package = entity.get('pkg')
    if package is not None:
        executable = str(package_executable(resolve(package, context), executable))
    command = [executable, *_words(entity.get('args'), context)]
    if entity.get('ros_args') is not None:
        command += ['--ros-args', *_words(entity.get('ros_args'), context)]
    command.append('--ros-args')
    name = node_name(entity, context)
    if name is not None:
        command += ['-r', f'__node:={name}']
    own = entity.get('namespace')
    base = context.configurations.get('ros_namespace')
    namespace = join_namespace(base, None if own is None else resolve(own, context))
    if namespace is not None:
        check_namespace(entity, namespace)
        command += ['-r', f'__ns:={namespace}']
    full_name = f'{namespace.rstrip("/")}/{name}' if namespace and name else '/**'
    for parameter in entity.nested.get('param', []):
        file = parameters_file(parameter, full_name, context, directory, warn)
        command += ['--params-file', str(file)] if file else []
    for remap in entity.nested.get('remap', []):
        source, target = (resolve(remap.get(key), context) for key in ('from', 'to'))
        command += ['-r', f'{source}:={target}']
    return command


def node_name(entity: Entity, context: Context) -> str | None:
    """Return a node's name, or None where the node names itself.

    :raises LaunchFileError: a name that is not valid in ROS.
    """
    if entity.get('name') is None:
        return None
    name = resolve(entity.get('name'), context)
    if not _NAME.match(name):
        raise entity.error(f"'{name}' is no node name: use letters, digits and underscores")
    return name


def join_namespace(base: str | None, namespace: str | None) -> str | None:
    """Return namespace made absolute, below base where it is relative; None if both are None."""
    if base is None and namespace is None:
        return None
    if namespace is None:
        joined = base or ''
    elif not base or namespace.startswith('/'):
        joined = namespace
    else:
        joined = f'{base.rstrip("/")}/{namespace}'
    return '/' + joined.strip('/')


def check_namespace(entity: Entity, namespace: str) -> None:
    """Raise LaunchFileError where an absolute namespace is not valid in ROS."""
    parts = namespace[1:].split('/') if namespace != '/' else []
    if not all(_NAME.match(part) for part in parts):
        raise entity.error(
            f"'{namespace}' is no namespace: use letters, digits and underscores between slashes"
        )


def _words(source: str | None, context: Context) -> list[str]:
    """Split a command line into words as upstream does.

    Only literal text is split at spaces: what a substitution gives is never split, so an empty
    one is an empty word.
    """
    if source is None:
        return []
    words: list[list[Text | Call]] = []
    word: list[Text | Call] = []
    for part in parse_template(source):
        tokens = _split(part.text) if isinstance(part, Text) else []
        if not isinstance(part, Text):
            word.append(part)
        elif not tokens:  # spaces only: the end of a word
            words.append(word)
            word = []
        else:
            if word and part.text[0].isspace():
                words.append(word)
                word = []
            word.append(Text(tokens[0]))
            for token in tokens[1:]:
                words.append(word)
                word = [Text(token)]
            if part.text[-1].isspace():
                words.append(word)
                word = []
    if word:
        words.append(word)
    return [perform(tuple(parts), context) for parts in words]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise SubstitutionError(
            f"a quote is not closed in '{text}': quotes cannot span a $(...), as upstream"
        ) from None
