# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Executable `fleet_planner_node`; its nodes are made in fleet_planner.py."""

import sys

from loop_ros.nodes.entry import run


def main() -> int:
    """Run the nodes; their exit code."""
    return run('loop_ros.nodes.fleet_planner', 'make_planners')


if __name__ == '__main__':
    sys.exit(main())
