# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch`: runs a YAML launch file."""

import argparse
import difflib
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ros2_standalone.context import Context
from ros2_standalone.discovery import announce_often
from ros2_standalone.errors import Ros2Error
from ros2_standalone.launch_actions import Launch
from ros2_standalone.launch_file import Entity, load, yaml_beside
from ros2_standalone.packages import export_prefixes, share_file
from ros2_standalone.substitutions import describe, resolve
from ros2_standalone.supervisor import Supervisor, screen_writer
from ros2_standalone.template import parse_template

_ALWAYS_KNOWN = {'sigterm_timeout', 'sigkill_timeout'}  # configurations the launcher itself reads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        '-s',
        '--show-args',
        '--show-arguments',
        action='store_true',
        help='Show arguments that may be given to the launch file.',
    )
    parser.add_argument('package_name', help='Name of the ROS package, or path of a launch file')
    parser.add_argument('launch_file_name', nargs='?', help='Name of the launch file')
    parser.add_argument('launch_arguments', nargs='*', help="Launch arguments; '<name>:=<value>'")


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    given = list(args.launch_arguments)
    if Path(args.package_name).is_file():
        path = Path(args.package_name)
        given[:0] = [args.launch_file_name] if args.launch_file_name is not None else []
    elif args.launch_file_name is None:
        raise Ros2Error(f"'{args.package_name}' is no launch file; give PACKAGE FILE, or a path")
    else:
        path = share_file(args.package_name, args.launch_file_name)
    path = yaml_beside(path)
    declared = declared_arguments(path)
    if args.show_args:
        show_arguments(declared)
        return 0
    arguments = parse_arguments(given)
    check_names(arguments, declared)
    return run(path, arguments)


def run(path: Path, arguments: dict[str, str]) -> int:
    """Launch a file and return the exit code when all its processes have ended."""
    screen = screen_writer(sys.stdout)
    screen('[INFO] [launch]: standalone subset of ros2: no ROS 2 installation is used')
    export_prefixes()
    announce_often()
    # So that print() in a Python node arrives line by line, as it does in a terminal.
    os.environ.setdefault('PYTHONUNBUFFERED', '1')
    with tempfile.TemporaryDirectory(prefix='ros2_standalone_') as directory:
        launch = Launch(Path(directory), lambda text: screen(f'[WARNING] [launch]: {text}'))
        processes = launch.carry_out(path, arguments)
        return Supervisor(processes, screen, _log_writer(screen)).run()


def _log_writer(screen: Callable[[str], None]) -> Callable[[str], None]:
    """Return a writer to launch.log in a new folder of the ROS log directory."""
    home = Path(os.environ.get('ROS_HOME') or Path.home() / '.ros')
    root = Path(os.environ.get('ROS_LOG_DIR') or home / 'log')
    stamp = datetime.now().strftime('%Y-%m-%d-%H-%M-%S-%f')
    directory = root / f'{stamp}-{socket.gethostname()}-{os.getpid()}'
    try:
        directory.mkdir(parents=True)
        file = (directory / 'launch.log').open('w', encoding='utf-8', buffering=1)
    except OSError as error:
        screen(f'[WARNING] [launch]: no log file: {error}')
        return lambda _: None
    screen(f'[INFO] [launch]: All log files can be found below {directory}')
    return screen_writer(file)


def parse_arguments(given: list[str]) -> dict[str, str]:
    """Return 'name:=value' texts as a dictionary; the last of a name wins.

    :raises Ros2Error: a text of another form.
    """
    arguments: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition(':=')
        if not separator or not name or not value:
            raise Ros2Error(f"malformed launch argument '{text}', expected '<name>:=<value>'")
        arguments[name] = value
    return arguments


@dataclass(frozen=True)
class Declared:
    """A launch argument found without launching; conditional: whether it depends on others."""

    entity: Entity
    conditional: bool


def declared_arguments(path: Path) -> dict[str, Declared]:
    """Return the arguments a launch file and its includes declare, the first of a name.

    An include whose path depends on launch arguments is not followed, as upstream.
    """
    found: dict[str, Declared] = {}
    _collect(load(path), Context(path.absolute(), {}, dict(os.environ)), False, found)
    return found


def _collect(
    entities: list[Entity], context: Context, conditional: bool, found: dict[str, Declared]
) -> None:
    for entity in entities:
        depends = conditional or entity.get('if') is not None or entity.get('unless') is not None
        if entity.type_name == 'arg':
            found.setdefault(entity.get('name'), Declared(entity, depends))
        elif entity.type_name == 'group':
            _collect(entity.children, context, depends, found)
        elif entity.type_name == 'include':
            try:
                path = yaml_beside(Path(resolve(entity.get('file'), context)))
            except Ros2Error:
                continue
            _collect(load(path), Context(path.absolute(), {}, context.environment), depends, found)


def check_names(arguments: dict[str, str], declared: dict[str, Declared]) -> None:
    """Raise Ros2Error for an argument that no launch file declares."""
    for name in arguments:
        if name in declared or name in _ALWAYS_KNOWN:
            continue
        close = difflib.get_close_matches(name, declared, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ''
        known = ', '.join(declared) or 'none'
        raise Ros2Error(f"unknown launch argument '{name}'{hint} (declared: {known})")


def show_arguments(declared: dict[str, Declared]) -> None:
    """Print arguments as `ros2 launch --show-args` does."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    for name, argument in declared.items():
        entity = argument.entity
        print(f"\n    '{name}':{'*' if argument.conditional else ''}\n        {_text(entity)}")
        if entity.get('default') is not None:
            print(f'        (default: {describe(parse_template(entity.get("default")))})')
    if not declared:
        print('\n  No arguments.')
    elif any(argument.conditional for argument in declared.values()):
        print('\n* argument(s) which are only used if specific conditions occur')


def _text(entity: Entity) -> str:
    """Return an argument's description with its choices, in upstream's words."""
    choices = [choice.get('value') for choice in entity.nested.get('choice', [])]
    description: str | None = entity.get('description')
    if description is None:
        return f'One of: {choices}' if choices else 'no description given'
    if not choices:
        return description
    return f'{description.removesuffix(".")}. Valid choices are: {choices}'
