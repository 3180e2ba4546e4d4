# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS domains for tests, out of the way of each other and of other ROS 2 systems."""

from __future__ import annotations

import os
import random
import socket

# Linux hands out ports from 32768 on to anyone; the ports of higher domains lie among them.
DOMAINS = range(50, 102)
_used: set[int] = set()


def free_domain() -> int:
    """Return a ROS domain in which nobody on this machine was seen, another one at each call.

    Once all had their turn, they have another one.
    """
    order = random.Random(os.getpid() + len(_used)).sample(DOMAINS, len(DOMAINS))
    for domain in sorted(order, key=_used.__contains__):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # The port of a domain's first participant, by the DDS rule.
                probe.bind(('127.0.0.1', 7410 + 250 * domain))
            except OSError:
                continue
        _used.add(domain)
        return domain
    raise RuntimeError(f'no free ROS domain in {DOMAINS}: end the ROS 2 systems that run here')
