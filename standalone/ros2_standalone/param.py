# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 param`: reads and sets the parameters of running nodes."""

import argparse
import re
import sys
from typing import Any

from ros2_standalone.errors import Ros2Error
from ros2_standalone.ros import (
    DISCOVERY_TIMEOUT,
    Session,
    add_discovery_arguments,
    add_verbs,
    is_hidden,
    session,
)

# ParameterType's value: field of ParameterValue, name of the type, label of `get`.
_TYPES = {
    0: (None, 'not set', 'Parameter not set.'),
    1: ('bool_value', 'boolean', 'Boolean value is:'),
    2: ('integer_value', 'integer', 'Integer value is:'),
    3: ('double_value', 'double', 'Double value is:'),
    4: ('string_value', 'string', 'String value is:'),
    5: ('byte_array_value', 'byte array', 'Byte values are:'),
    6: ('bool_array_value', 'boolean array', 'Boolean values are:'),
    7: ('integer_array_value', 'integer array', 'Integer values are:'),
    8: ('double_array_value', 'double array', 'Double values are:'),
    9: ('string_array_value', 'string array', 'String values are:'),
}
_EXPONENT = re.compile(r'[-+]?\d+[eE][-+]?\d+')  # a number to everyone but YAML 1.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    verbs = add_verbs(
        parser,
        {
            'describe': 'Show descriptive information about declared parameters',
            'dump': 'Show all of the parameters of a node in a YAML file format',
            'get': 'Get a parameter',
            'list': 'List the parameters of one node or of all',
            'set': 'Set a parameter',
        },
    )
    for name, verb in verbs.items():
        add_discovery_arguments(verb)
        optional = {'nargs': '?'} if name == 'list' else {}
        verb.add_argument('node_name', help='Name of the ROS node', **optional)  # type: ignore[arg-type]
        verb.add_argument('--timeout', type=float, metavar='N', default=DISCOVERY_TIMEOUT)
        verb.add_argument('--include-hidden-nodes', action='store_true')
    verbs['get'].add_argument('parameter_name', help='Name of the parameter')
    verbs['get'].add_argument('--hide-type', action='store_true', help='Hide the type')
    verbs['set'].add_argument('parameter_name', help='Name of the parameter')
    verbs['set'].add_argument('value', help='Value of the parameter')
    verbs['describe'].add_argument('parameter_names', nargs='+', help='Names of the parameters')
    verbs['list'].add_argument('--filter', help='Only parameters matching the regular expression')
    verbs['list'].add_argument('--param-type', action='store_true', help='Print types too')


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    verbs = {'describe': _describe, 'dump': _dump, 'get': _get, 'list': _list, 'set': _set}
    return verbs[args.verb](session(), args)


def _call(ros: Session, node: str, service: str, **fields: Any) -> Any:
    """Call one of a node's parameter services, e.g. GetParameters, and return the response."""
    from rcl_interfaces import srv

    service_type = getattr(srv, service)
    name = re.sub(r'(?<!^)([A-Z])', r'_\1', service).lower()
    return ros.call(service_type, f'{node}/{name}', service_type.Request(**fields))


def _plain(value: Any) -> Any:
    field = _TYPES[value.type][0]
    data: Any = None if field is None else getattr(value, field)
    return data.tolist() if hasattr(data, 'tolist') else data


def _names(ros: Session, node: str) -> list[str]:
    return sorted(_call(ros, node, 'ListParameters').result.names)


def _get(ros: Session, args: argparse.Namespace) -> int:
    node = ros.wait_for_node(args.node_name, args.timeout)
    values = _call(ros, node, 'GetParameters', names=[args.parameter_name]).values
    if not values:
        raise Ros2Error(
            f"Parameter not set: '{node}' has no '{args.parameter_name}'; see 'ros2 param list'"
        )
    value = _plain(values[0])
    label = _TYPES[values[0].type][2]
    if args.hide_type:
        print(value)
    elif value is None:
        print(label)
    else:
        print(label, value)
    return 0


def _set(ros: Session, args: argparse.Namespace) -> int:
    from rcl_interfaces.msg import Parameter, ParameterValue
    from rclpy.parameter import get_parameter_value

    node = ros.wait_for_node(args.node_name, args.timeout)
    value = get_parameter_value(string_value=args.value)
    if _EXPONENT.fullmatch(args.value):
        value = ParameterValue(type=3, double_value=float(args.value))
    parameter = Parameter(name=args.parameter_name, value=value)
    result = _call(ros, node, 'SetParameters', parameters=[parameter]).results[0]
    message = 'Set parameter successful' if result.successful else 'Setting parameter failed'
    if result.reason:
        message += f': {result.reason}'
    print(message, file=sys.stdout if result.successful else sys.stderr)
    return 0 if result.successful else 1


def _list(ros: Session, args: argparse.Namespace) -> int:
    if args.node_name:
        nodes = [ros.wait_for_node(args.node_name, args.timeout)]
    else:
        ros.settle(args.spin_time)
        nodes = [n for n in ros.node_names() if args.include_hidden_nodes or not is_hidden(n)]
    failed = False
    for node in nodes:
        try:
            _list_one(ros, node, args)
        except Ros2Error as error:  # one silent node must not hide the others
            if args.node_name:
                raise
            print(error, file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _list_one(ros: Session, node: str, args: argparse.Namespace) -> None:
    names = [n for n in _names(ros, node) if args.filter is None or re.match(args.filter, n)]
    if not args.node_name and names:
        print(f'{node}:')
    types = {}
    if args.param_type and names:
        response = _call(ros, node, 'DescribeParameters', names=names)
        types = {d.name: f' (type: {_TYPES[d.type][1]})' for d in response.descriptors}
    for name in names:
        print(f'  {name}{types.get(name, "")}')


def _describe(ros: Session, args: argparse.Namespace) -> int:
    node = ros.wait_for_node(args.node_name, args.timeout)
    known = _names(ros, node)
    for name in args.parameter_names:
        if name not in known:
            raise Ros2Error(f"'{node}' has no parameter '{name}'; see 'ros2 param list {node}'")
    for descriptor in _call(
        ros, node, 'DescribeParameters', names=args.parameter_names
    ).descriptors:
        _print_descriptor(descriptor)
    return 0


def _print_descriptor(descriptor: Any) -> None:
    print('Parameter name:', descriptor.name)
    print('  Type:', _TYPES[descriptor.type][1])
    if descriptor.description:
        print('  Description:', descriptor.description)
    print('  Constraints:')
    if descriptor.read_only:
        print('    Read only: true')
    for span in [*descriptor.floating_point_range, *descriptor.integer_range][:1]:
        print('    Min value:', span.from_value)
        print('    Max value:', span.to_value)
        if span.step:
            print('    Step:', span.step)
    if descriptor.additional_constraints:
        print('    Additional constraints:', descriptor.additional_constraints)


def _dump(ros: Session, args: argparse.Namespace) -> int:
    import yaml

    node = ros.wait_for_node(args.node_name, args.timeout)
    names = _names(ros, node)
    values = _call(ros, node, 'GetParameters', names=names).values
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *path, leaf = name.split('.')
        table = tree
        for part in path:
            table = table.setdefault(part, {})
        table[leaf] = _plain(value)
    print(yaml.dump({node: {'ros__parameters': tree}}, default_flow_style=False))
    return 0
