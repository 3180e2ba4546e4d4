# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of the nodes, read from nodes that run where nobody hears them."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tables import code, table

EXAMPLE = Path(__file__).resolve().parents[1] / 'examples/diff_drive_lidar'
# Executable -> class, what it is given to come up.
NODES = {
    'planner_node': ('PlannerNode', {}),
    'learner_node': ('LearnerNode', {}),
    'bridge_node': ('BridgeNode', {}),
    'robot_node': ('RobotNode', {'robot': EXAMPLE / 'config/robot.yaml'}),
    'panel_node': ('PanelNode', {'port': 0}),
}
NAMESPACE = '/stack'  # tells names in it from absolute ones
INTRODUCTION = """# Nodes

Read from running nodes of the drift car; the robot node has the robot file of
`examples/diff_drive_lidar`. Other tasks, robot files and modes (`shadow`, several `sources`) have
other topics. Names without a leading slash are in the node's namespace. What every lifecycle node
of ROS 2 has is left out.
"""


def nodes() -> Iterator[str]:
    """Parameters, topics and services of each node."""
    yield INTRODUCTION
    try:
        import rclpy
    except ImportError:
        yield 'No rclpy was there when this page was made.\n'
        return
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'OFF'
    sys.path.insert(0, str(EXAMPLE))
    # The panel's server looks at every object, this one of torch too.
    warnings.filterwarnings('ignore', '`torch.distributed.reduce_op`', FutureWarning)
    for executable, (name, given) in NODES.items():
        words = [word for key, value in given.items() for word in ('-p', f'{key}:={value}')]
        rclpy.init(args=['--ros-args', '--log-level', 'error', '-r', f'__ns:={NAMESPACE}', *words])
        try:
            module = importlib.import_module(f'loop_ros.nodes.{executable.removesuffix("_node")}')
            with contextlib.redirect_stdout(io.StringIO()):  # the bridge says how it went
                yield from _node(executable, getattr(module, name))
        finally:
            rclpy.try_shutdown()
    from loop_ros.nodes import fleet_planner

    yield f'## fleet_planner_node\n\n{fleet_planner.__doc__} Each has what `planner_node` has.\n'


def _node(executable: str, kind: Any) -> Iterator[str]:
    from rclpy.lifecycle import LifecycleNode

    class Node(kind):
        """Keeps the defaults of its parameters: the first value that each is declared with."""

        defaults: dict[str, Any] = {}

        def declare_parameter(self, name: str, value: Any = None, *args: Any, **named: Any) -> Any:
            self.defaults.setdefault(name, value)
            return super().declare_parameter(name, value, *args, **named)

    node = Node()
    bare = LifecycleNode(node.get_name())
    usual = {*bare._parameters, *_topics(bare), *_services(bare)}
    bare.destroy_node()
    node.trigger_configure()
    node.trigger_activate()
    if not node.active:
        raise RuntimeError(f'{executable} does not come up')
    yield f'## {executable}\n\n{kind.__doc__.splitlines()[0]}\n'
    names = sorted({*node._parameters} - usual)
    head: Sequence[str] = ('parameter', 'default', 'range', 'what it is')
    yield from table(head, (_parameter(node, name) for name in names))
    head = ('topic', 'type', 'direction', 'reliability, durability, depth')
    yield from table(head, sorted({*_topics(node)} - usual))
    yield from table(('service', 'type', 'role'), sorted({*_services(node)} - usual))
    node.trigger_shutdown()
    node.destroy_node()


def _parameter(node: Any, name: str) -> Sequence[object]:
    descriptor = node.describe_parameter(name)
    ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
    allowed = ''.join(f'{r.from_value:g} to {r.to_value:g}' for r in ranges[:1])
    if 'e+308' in allowed or 'e+18' in allowed:  # no limit
        allowed = ''
    allowed = descriptor.additional_constraints.removeprefix('one of: ') or allowed
    live = '' if descriptor.read_only else ' *(live)*'
    return code(name), code(node.defaults[name]), allowed, descriptor.description + live


def _topics(node: Any) -> Iterator[tuple[str, ...]]:
    ends = [(end, 'publishes') for end in node.publishers]
    for end, direction in [*ends, *((end, 'subscribes') for end in node.subscriptions)]:
        profile = end.qos_profile
        quality = (profile.reliability.name, profile.durability.name)
        yield (
            code(_relative(end.topic_name)),
            _type(end.msg_type),
            direction,
            f'{", ".join(quality).lower().replace("_", " ")}, {profile.depth}',
        )


def _services(node: Any) -> Iterator[tuple[str, ...]]:
    for end in node.services:
        yield code(_relative(end.service_name)), _type(end.srv_type), 'answers'
    for end in node.clients:
        yield code(_relative(end.service_name)), _type(end.srv_type), 'calls'


def _relative(name: str) -> str:
    return name.removeprefix(f'{NAMESPACE}/')


def _type(message: type) -> str:
    return code(f'{message.__module__.partition(".")[0]}/{message.__name__}')
