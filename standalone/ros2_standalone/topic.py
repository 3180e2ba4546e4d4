# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 topic`: lists, shows and measures topics."""

import argparse
import math
import time
from itertools import pairwise
from typing import Any

from ros2_standalone.errors import Ros2Error
from ros2_standalone.messages import message_class, to_yaml
from ros2_standalone.qos import matching_qos
from ros2_standalone.ros import Session, add_discovery_arguments, add_verbs, print_names, session

_TRUNCATE_LENGTH = 128
_WINDOW = 10000  # messages
_DEPTH = 5  # as upstream's sensor data profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    verbs = add_verbs(
        parser,
        {
            'echo': 'Print the messages of a topic',
            'hz': 'Print the average publishing rate of a topic',
            'info': 'Print information about a topic',
            'list': 'List the available topics',
        },
    )
    for name, verb in verbs.items():
        add_discovery_arguments(verb)
        if name != 'list':
            verb.add_argument('topic_name', help='Name of the topic')
    verbs['list'].add_argument('-t', '--show-types', action='store_true')
    verbs['list'].add_argument('-c', '--count-topics', action='store_true')
    verbs['list'].add_argument('--include-hidden-topics', action='store_true')
    verbs['info'].add_argument('-v', '--verbose', action='store_true')
    verbs['hz'].add_argument('-w', '--window', type=int, default=_WINDOW, metavar='WINDOW')
    verbs['hz'].add_argument('--wall-time', action='store_true', help='Accepted: always so here')
    _add_echo_arguments(verbs['echo'])


def _add_echo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('message_type', nargs='?', help="Type, e.g. 'std_msgs/msg/String'")
    parser.add_argument('--once', action='store_true', help='Print one message, then exit')
    parser.add_argument('--timeout', type=float, metavar='N', help='Exit after N seconds')
    parser.add_argument('--field', help="Print one field; '.' selects sub-fields")
    parser.add_argument('-f', '--full-length', action='store_true', help='Truncate nothing')
    parser.add_argument('-l', '--truncate-length', type=int, default=_TRUNCATE_LENGTH, metavar='N')
    parser.add_argument('--no-arr', action='store_true', help='Leave out arrays')
    parser.add_argument('--no-str', action='store_true', help='Leave out strings')
    parser.add_argument('--flow-style', action='store_true')
    parser.add_argument('--no-lost-messages', action='store_true', help='Accepted: not reported')
    parser.add_argument('--qos-reliability', choices=['reliable', 'best_effort'])
    parser.add_argument('--qos-durability', choices=['transient_local', 'volatile'])
    parser.add_argument('--qos-depth', type=int, metavar='N')


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    return {'echo': _echo, 'hz': _hz, 'info': _info, 'list': _list}[args.verb](session(), args)


def _list(ros: Session, args: argparse.Namespace) -> int:
    ros.settle(args.spin_time)
    topics = ros.node.get_topic_names_and_types()
    print_names(topics, args.include_hidden_topics, args.count_topics, args.show_types)
    return 0


def _info(ros: Session, args: argparse.Namespace) -> int:
    topic, type_name = ros.wait_for_topic(args.topic_name)
    ros.settle(args.spin_time)
    end = '\n\n' if args.verbose else '\n'
    print(f'Type: {type_name}', end=end)
    for label, infos in (
        ('Publisher', ros.node.get_publishers_info_by_topic(topic)),
        ('Subscription', ros.node.get_subscriptions_info_by_topic(topic)),
    ):
        print(f'{label} count: {len(infos)}', end=end)
        for info in infos if args.verbose else []:
            print(info, end=end)
    return 0


def _subscribe(ros: Session, args: argparse.Namespace, callback: Any, raw: bool) -> None:
    """Subscribe as the publishers offer; where there are none yet, by the given type."""
    if getattr(args, 'message_type', None):
        topic, type_name = '/' + args.topic_name.lstrip('/'), args.message_type
    else:
        topic, type_name = ros.wait_for_topic(args.topic_name)
    ros.spin(lambda: ros.node.count_publishers(topic) > 0, timeout=1.0)
    qos = matching_qos(ros.node.get_publishers_info_by_topic(topic), _DEPTH)
    _override_qos(qos, args)
    ros.node.create_subscription(message_class(type_name), topic, callback, qos, raw=raw)


def _override_qos(qos: Any, args: argparse.Namespace) -> None:
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

    if getattr(args, 'qos_reliability', None):
        qos.reliability = ReliabilityPolicy.get_from_short_key(args.qos_reliability)
    if getattr(args, 'qos_durability', None):
        qos.durability = DurabilityPolicy.get_from_short_key(args.qos_durability)
    if getattr(args, 'qos_depth', None):
        qos.depth = args.qos_depth


def _echo(ros: Session, args: argparse.Namespace) -> int:
    received = 0

    def show(message: Any) -> None:
        nonlocal received
        if args.once and received:
            return
        received += 1
        value = _selected(message, args.field)
        length = None if args.full_length else args.truncate_length
        text = to_yaml(value, length, args.no_arr, args.no_str, args.flow_style)
        print(text, end='---\n', flush=True)

    _subscribe(ros, args, show, raw=False)
    ended = ros.spin(lambda: args.once and received > 0, args.timeout)
    if not ended and args.once:
        raise Ros2Error(f"no message on '{args.topic_name}' within {args.timeout:g} s")
    return 0


def _selected(message: Any, field: str | None) -> Any:
    for name in (field or '').split('.'):
        if name:
            try:
                message = getattr(message, name)
            except AttributeError:
                raise Ros2Error(
                    f"invalid field '{field}': {type(message).__name__} has no '{name}'"
                ) from None
    return message


def _hz(ros: Session, args: argparse.Namespace) -> int:
    times: list[float] = []

    def receive(_: bytes) -> None:
        times.append(time.monotonic())
        del times[: -args.window - 1]

    _subscribe(ros, args, receive, raw=True)
    last = 0.0
    while True:
        ros.spin(timeout=1.0)
        if len(times) > 1 and times[-1] > last:
            last = times[-1]
            _print_rate([b - a for a, b in pairwise(times)])


def _print_rate(periods: list[float]) -> None:
    """Print the rate as upstream does; periods in s."""
    mean = sum(periods) / len(periods)
    deviation = math.sqrt(sum((p - mean) ** 2 for p in periods) / len(periods))
    print(
        f'average rate: {1.0 / mean if mean > 0 else 0.0:.3f}\n'
        f'\tmin: {min(periods):.3f}s max: {max(periods):.3f}s '
        f'std dev: {deviation:.5f}s window: {len(periods)}',
        flush=True,
    )
