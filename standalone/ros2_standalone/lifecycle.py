# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 lifecycle`: states of lifecycle nodes."""

import argparse
import sys

from ros2_standalone.errors import Ros2Error
from ros2_standalone.ros import Session, add_discovery_arguments, add_verbs, is_hidden, session

_GET_STATE = '/get_state'
_GET_STATE_TYPE = 'lifecycle_msgs/srv/GetState'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    verbs = add_verbs(
        parser,
        {
            'get': 'Get the state of one lifecycle node or of all',
            'nodes': 'List the lifecycle nodes',
            'set': 'Trigger a transition',
        },
    )
    for verb in verbs.values():
        add_discovery_arguments(verb)
    verbs['nodes'].add_argument('-a', '--all', action='store_true', help='Show hidden nodes too')
    verbs['nodes'].add_argument('-c', '--count-nodes', action='store_true')
    verbs['get'].add_argument('node_name', nargs='?', help='Name of the ROS node')
    verbs['set'].add_argument('node_name', help='Name of the ROS node')
    verbs['set'].add_argument('transition', help="Label or number, e.g. 'activate'")


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    return {'get': _get, 'nodes': _nodes, 'set': _set}[args.verb](session(), args)


def _lifecycle_nodes(ros: Session) -> list[str]:
    return sorted(
        name.removesuffix(_GET_STATE)
        for name, types in ros.node.get_service_names_and_types()
        if name.endswith(_GET_STATE) and _GET_STATE_TYPE in types
    )


def _nodes(ros: Session, args: argparse.Namespace) -> int:
    ros.settle(args.spin_time)
    names = [name for name in _lifecycle_nodes(ros) if args.all or not is_hidden(name)]
    print(len(names) if args.count_nodes else '\n'.join(names))
    return 0


def _get(ros: Session, args: argparse.Namespace) -> int:
    from lifecycle_msgs.srv import GetState

    if args.node_name:
        names = [ros.wait_for_node(args.node_name)]
    else:
        ros.settle(args.spin_time)
        names = [name for name in _lifecycle_nodes(ros) if not is_hidden(name)]
    for name in names:
        state = ros.call(GetState, name + _GET_STATE, GetState.Request()).current_state
        prefix = '' if args.node_name else f'{name}: '
        print(f'{prefix}{state.label} [{state.id}]')
    return 0


def _set(ros: Session, args: argparse.Namespace) -> int:
    from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions

    node = ros.wait_for_node(args.node_name)
    request = GetAvailableTransitions.Request()
    response = ros.call(GetAvailableTransitions, f'{node}/get_available_transitions', request)
    transitions = [item.transition for item in response.available_transitions]
    chosen = [t for t in transitions if args.transition in (t.label, str(t.id))]
    if not chosen:
        available = ''.join(f'\n- {t.label} [{t.id}]' for t in transitions)
        raise Ros2Error(f'Unknown transition requested, available ones are:{available}')
    change = ChangeState.Request(transition=chosen[0])
    if ros.call(ChangeState, f'{node}/change_state', change).success:
        print('Transitioning successful')
        return 0
    print('Transitioning failed', file=sys.stderr)
    return 1
