# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: ROS 2 kept on this machine, and out of the way of other ROS 2 systems."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile('no deadline', deadline=None)
hypothesis.settings.load_profile('no deadline')

TREE = Path(__file__).resolve().parent.parent
# Linux hands out ports from 32768 on to anyone; the ports of higher domains lie among them.
DOMAINS = range(50, 102)
_used: set[int] = set()


def free_domain() -> int:
    """Return a ROS domain in which nobody on this machine was seen, another one at each call."""
    candidates = [domain for domain in DOMAINS if domain not in _used]
    random.Random(os.getpid() + len(_used)).shuffle(candidates)
    for domain in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # The port of a domain's first participant, by the DDS rule.
                probe.bind(('127.0.0.1', 7410 + 250 * domain))
            except OSError:
                continue
        _used.add(domain)
        return domain
    raise RuntimeError(f'no free ROS domain in {DOMAINS}: end the ROS 2 systems that run here')


def _set_ros_environment() -> None:
    """Set what rclpy and its child processes read; done before any test module is imported."""
    prefixes = [prefix for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(':') if prefix]
    if sys.prefix not in prefixes:
        prefixes.insert(0, sys.prefix)
    os.environ['AMENT_PREFIX_PATH'] = ':'.join(prefixes)
    os.environ['ROS_DOMAIN_ID'] = str(free_domain())
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if not any((Path(prefix) / 'share/ros2launch').exists() for prefix in prefixes):
        os.environ['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'
    # Two cores are shared by several processes in the tests that start nodes.
    os.environ.setdefault('OMP_NUM_THREADS', '1')


_set_ros_environment()


@pytest.fixture
def tree() -> Path:
    """Return the root of the source tree."""
    return TREE


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the test a ROS domain of its own, for itself and for the processes it starts."""
    domain = free_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    yield domain


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint for tests of nodes."""
    from stack import make_checkpoint  # brings rclpy with it, which not every test has

    return make_checkpoint(tmp_path_factory.mktemp('weights') / 'c')
