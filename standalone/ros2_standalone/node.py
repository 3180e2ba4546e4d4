# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 node list`."""

import argparse
import sys

from ros2_standalone.ros import add_discovery_arguments, add_verbs, is_hidden, session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    verb = add_verbs(parser, {'list': 'List the running nodes'})['list']
    add_discovery_arguments(verb)
    verb.add_argument('-a', '--all', action='store_true', help='Show hidden nodes too')
    verb.add_argument('-c', '--count-nodes', action='store_true', help='Only print the number')


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    ros = session()
    ros.settle(args.spin_time)
    names = [name for name in ros.node_names() if args.all or not is_hidden(name)]
    if args.count_nodes:
        print(len(names))
        return 0
    if len(set(names)) < len(names):
        print('WARNING: there are nodes in the graph that share an exact name', file=sys.stderr)
    for name in names:
        print(name)
    return 0
