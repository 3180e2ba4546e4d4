# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 service`: lists and calls services."""

import argparse

from ros2_standalone.messages import message_class, parse_values, set_fields
from ros2_standalone.ros import Session, add_discovery_arguments, add_verbs, print_names, session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    verbs = add_verbs(parser, {'call': 'Call a service', 'list': 'List the available services'})
    add_discovery_arguments(verbs['list'])
    verbs['list'].add_argument('-t', '--show-types', action='store_true')
    verbs['list'].add_argument('-c', '--count-services', action='store_true')
    verbs['list'].add_argument('--include-hidden-services', action='store_true')
    verbs['call'].add_argument('service_name', help='Name of the service')
    verbs['call'].add_argument('service_type', help="Type, e.g. 'std_srvs/srv/Trigger'")
    verbs['call'].add_argument('values', nargs='?', default='{}', help='The request, as YAML')


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if args.verb == 'call':
        return _call(args)
    ros = session()
    ros.settle(args.spin_time)
    return _list(ros, args)


def _call(args: argparse.Namespace) -> int:
    service_type = message_class(args.service_type, 'srv')
    request = service_type.Request()
    set_fields(request, parse_values(args.values) or {})
    ros = session()
    print(f'requester: making request: {request!r}\n', flush=True)
    response = ros.call(service_type, '/' + args.service_name.lstrip('/'), request)
    print(f'response:\n{response!r}\n')
    return 0


def _list(ros: Session, args: argparse.Namespace) -> int:
    services = ros.node.get_service_names_and_types()
    print_names(services, args.include_hidden_services, args.count_services, args.show_types)
    return 0
