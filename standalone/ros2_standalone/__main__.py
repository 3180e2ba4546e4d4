# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `ros2` command: finds the subcommand and imports only that."""

import argparse
import atexit
import importlib
import os
import sys

from loop_ros.process_end import end_within
from ros2_standalone.errors import Ros2Error

_COMMANDS = {
    'bag': 'Record, inspect and play bags',
    'launch': 'Run a launch file',
    'lifecycle': 'Get and set states of lifecycle nodes',
    'node': 'List nodes',
    'param': 'Get and set parameters of nodes',
    'run': 'Run an executable of a package',
    'service': 'List and call services',
    'topic': 'List, show and measure topics',
}
_LEAVE_TIMEOUT = 3.0  # s
_EPILOG = (
    'This is the standalone subset of ros2 that comes with loop_ros, for machines without a ROS 2 '
    'installation.'
)


def main() -> int:
    """Run this process's command line and return its exit code."""
    code = run(sys.argv[1:])
    atexit.register(end_within, _LEAVE_TIMEOUT, code)  # the last to be registered is the first
    return code


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0, 1 for an error, 2 for a wrong usage."""
    if not arguments or arguments[0] not in _COMMANDS:
        print(_usage())
        if arguments and arguments[0] in ('-h', '--help'):
            return 0
        return _fail(f"unknown command '{arguments[0]}'" if arguments else 'no command given', 2)
    name, rest = arguments[0], arguments[1:]
    module = importlib.import_module(f'ros2_standalone.{name}')
    parser = argparse.ArgumentParser(f'ros2 {name}', description=_COMMANDS[name], epilog=_EPILOG)
    module.add_arguments(parser)
    try:
        code = int(module.main(parser.parse_args(rest)))
        sys.stdout.flush()
        return code
    except Ros2Error as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `ros2 topic echo ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _usage() -> str:
    lines = [f'    {name:10s} {text}' for name, text in _COMMANDS.items()]
    return '\n'.join(['usage: ros2 COMMAND ...', '', *lines, '', _EPILOG])


def _fail(message: str, code: int) -> int:
    print(f'ros2: error: {message}', file=sys.stderr)
    return code


if __name__ == '__main__':
    sys.exit(main())
