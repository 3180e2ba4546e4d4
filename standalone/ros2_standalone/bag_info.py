# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 bag info`."""

from datetime import datetime
from typing import Any

from ros2_standalone.bag_reader import bag_files, open_bag


def show(path: str) -> int:
    """Print what is in a bag, in upstream's words, and return the exit code."""
    with open_bag(path) as bag:
        files = bag_files(path)
        start, end = (bag.start_time, bag.end_time - 1) if bag.message_count else (0, 0)
        lines = {
            'Files': '\n'.join(file.name for file in files),
            'Bag size': _size(sum(file.stat().st_size for file in files)),
            'Storage id': 'sqlite3' if '.db3' in files[0].suffixes else 'mcap',
            'ROS Distro': bag.ros_distro or 'unknown',
            'Duration': f'{(end - start) / 1e9:.9f}s',
            'Start': _time(start),
            'End': _time(end),
            'Messages': str(bag.message_count),
            'Topic information': '\n'.join(_topic(c) for c in bag.connections),
        }
    print()
    for label, value in lines.items():
        print(f'{label + ":":19s}' + value.replace('\n', '\n' + ' ' * 19))
    return 0


def _topic(connection: Any) -> str:
    return (
        f'Topic: {connection.topic} | Type: {connection.msgtype} | '
        f'Count: {connection.msgcount} | Serialization Format: cdr'
    )


def _size(size: float) -> str:
    for unit in ('B', 'KiB', 'MiB'):
        if size < 1024:
            return f'{size:.1f} {unit}'
        size /= 1024
    return f'{size:.1f} GiB'


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 10**9)
    text = datetime.fromtimestamp(seconds).strftime('%b %e %Y %H:%M:%S')
    return f'{text}.{rest:09d} ({seconds}.{rest:09d})'
