# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The planners of several robots in one process, each in its robot's namespace."""

from __future__ import annotations

import sys

from rclpy.utilities import remove_ros_args

from loop_ros.control.intake import robot_names
from loop_ros.nodes.planner import PlannerNode
from loop_ros.planning.shared import SharedPasses

USAGE = 'fleet_planner_node robot_1..4 --ros-args ...'


def make_planners() -> list[PlannerNode]:
    """One for each namespace on the command line; ValueError where that is no list of them."""
    names = robot_names(','.join(remove_ros_args(sys.argv)[1:]))
    if not names:
        raise ValueError(f'no robots: give their namespaces, as in {USAGE}')
    passes, nodes = SharedPasses(), []
    for number, name in enumerate(names):
        node = PlannerNode(name, number, passes)
        if (namespace := node.get_namespace()) != f'/{name.strip("/")}':
            raise ValueError(
                f'__ns:={namespace} puts all robots into one namespace: name theirs whole instead, '
                'as in lab/robot_1..4'
            )
        nodes.append(node)
    return nodes
