# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run`: becomes an executable of a package."""

import argparse
import os

from ros2_standalone.discovery import announce_often
from ros2_standalone.errors import Ros2Error
from ros2_standalone.packages import export_prefixes, package_executable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('package_name', help='Name of the ROS package')
    parser.add_argument('executable_name', help='Name of the executable')
    parser.add_argument('argv', nargs=argparse.REMAINDER, help='Arguments of the executable')


def main(args: argparse.Namespace) -> int:
    """Replace this process by the executable, so that signals and exit code are its own."""
    path = package_executable(args.package_name, args.executable_name)
    export_prefixes()
    announce_often()
    try:
        os.execv(path, [str(path), *args.argv])
    except OSError as error:
        raise Ros2Error(f"cannot run '{path}': {error.strerror}") from None
    return 0
