# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros new: a ROS package for a robot of one's own, from the files in templates/."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from pathlib import Path
from typing import Any

import jinja2

from loop_ros.sim import registry

_TEMPLATES = Path(__file__).resolve().parent / 'templates'
# Name of its templates, packages of its messages, and what else they ask for.
ROBOTS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    'ackermann': (
        'wheeled',
        ('ackermann_msgs', 'geometry_msgs', 'nav_msgs', 'sensor_msgs'),
        {
            'title': 'A car',
            'near': 0.4,
            'touching': 0.25,
            'interfaces': ('velocity', 'position'),
            'scan_from': -2.0,
            'scan_to': 2.0,
        },
    ),
    'diff_drive': (
        'wheeled',
        ('geometry_msgs', 'nav_msgs', 'sensor_msgs'),
        {
            'title': 'A differential drive',
            'near': 0.35,
            'touching': 0.22,
            'interfaces': ('velocity', 'velocity'),
            'scan_from': -3.1416,
            'scan_to': 3.1416,
        },
    ),
    'arm': ('arm', ('sensor_msgs', 'std_msgs'), {'title': 'An arm'}),
    'other': ('other', ('sensor_msgs', 'std_msgs'), {'title': 'A robot'}),
}


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    folder = write(options.name, options.robot, options.out)
    print(f'{folder}: what to fill in and how to go on stands in README.md')
    return 0


def write(name: str, robot: str, out: Path) -> Path:
    """Write the package `name` for a robot into a new folder of `out`, and return that.

    ValueError where the name is none for a ROS package or taken, or the folder exists.
    """
    _check(name)
    folder = out / name
    if folder.exists():
        raise ValueError(f'{folder} exists: nothing is written over; choose another name or --out')
    for path, text in _files(name, robot).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding='utf-8')
    (folder / name / 'config').symlink_to('../config')
    return folder


def _check(name: str) -> None:
    """ValueError where no ROS package (REP 144) with a module and a task can have the name."""
    if not re.fullmatch(r'[a-z](_?[a-z0-9])+', name):
        raise ValueError(
            f"'{name}' is no name of a ROS package: lower-case letters, digits and single "
            'underscores, a letter first'
        )
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name == 'test':
        raise ValueError(f"'{name}' is a name of Python itself; choose another")
    if name in ('loop_ros', *registry.names()):
        raise ValueError(f"'{name}' is taken: see loop-ros tasks")


def _files(name: str, robot: str) -> dict[str, str]:
    """The text of each file, by its path in the package."""
    kind, messages, values = ROBOTS[robot]
    templates = {
        'package.xml': 'package.xml',
        'setup.py': 'setup.py',
        'setup.cfg': 'setup.cfg',
        'README.md': 'README.md',
        f'{name}/task.py': f'{kind}_task.py',
        'config/robot.yaml': f'{kind}_robot.yaml',
        'config/profile.yaml': 'profile.yaml',
        f'launch/{name}.launch.yaml': 'launch.yaml',
        f'launch/{name}.launch.py': 'launch.py',
        'test/test_task.py': 'test_task.py',
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    given = {'name': name, 'robot': robot, 'kind': kind, 'messages': messages, **values}
    found = {
        path: environment.get_template(f'{template}.j2').render(given)
        for path, template in templates.items()
    }
    return {**found, f'resource/{name}': '', f'{name}/__init__.py': ''}
