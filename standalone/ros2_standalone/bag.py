# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag`: records, inspects and plays bags."""

import argparse

from ros2_standalone.ros import add_verbs

_CLOCK_HZ = 40.0  # upstream's default


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    verbs = add_verbs(
        parser,
        {
            'info': 'Print information about a bag',
            'play': 'Play a bag',
            'record': 'Record topics into an MCAP bag',
        },
    )
    record = verbs['record']
    record.add_argument(
        'topics', nargs='*', help='Topics to record; those not there are waited for'
    )
    record.add_argument('--topics', nargs='+', dest='more_topics', default=[], metavar='TOPIC')
    record.add_argument('-a', '--all', '--all-topics', action='store_true', dest='all_topics')
    record.add_argument('-o', '--output', help='The bag to create (default: rosbag2_DATE)')
    record.add_argument('-s', '--storage', default='mcap', choices=['mcap'])
    record.add_argument(
        '-b', '--max-bag-size', type=int, default=0, help='Begin a new file after so many bytes'
    )
    record.add_argument(
        '-d', '--max-bag-duration', type=float, default=0.0, help='Begin a new file after so many s'
    )
    record.add_argument(
        '--storage-config-file',
        help="Accepted for upstream's sake: files are complete twice a second in any case",
    )
    info = verbs['info']
    info.add_argument('bag_path', help='The bag')
    play = verbs['play']
    play.add_argument('bag_path', help='The bag')
    play.add_argument('-r', '--rate', type=float, default=1.0, help='Speed factor')
    play.add_argument('-l', '--loop', action='store_true', help='Begin again at the end')
    play.add_argument('-d', '--delay', type=float, default=0.0, help='Wait before playing, s')
    play.add_argument('--start-offset', type=float, default=0.0, help='Skip the first s')
    play.add_argument('--topics', nargs='+', default=[], help='Play only these topics')
    play.add_argument(
        '--clock', nargs='?', type=float, const=_CLOCK_HZ, default=0.0, metavar='HZ',
        help='Publish /clock at this rate',
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if args.verb == 'record':
        from ros2_standalone.bag_record import record

        limits = (args.max_bag_size, args.max_bag_duration)
        return record([*args.topics, *args.more_topics], args.all_topics, args.output, limits)
    if args.verb == 'info':
        from ros2_standalone.bag_info import show

        return show(args.bag_path)
    from ros2_standalone.bag_play import Player

    return Player(args).run()
