# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two hosts (network namespaces) and a network between them: slow, with losses, and to be cut.

The network is this process: a TAP device in each namespace, whose frames it hands on. Linux has
netem for that, but not every kernel.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections import deque
from contextlib import ExitStack

TUNSETIFF, TAP, NO_INFO = 0x400454CA, 0x0002, 0x1000
LARGEST_FRAME = 1 << 16


def ip(words: str) -> None:
    """OSError where it fails."""
    made = subprocess.run(['ip', *words.split()], capture_output=True, text=True)
    if made.returncode:
        raise OSError(f'ip {words}: {made.stderr.strip()}')


class Cable:
    """A context: hosts by name, with the network between them."""

    def __init__(self, hosts: tuple[str, str], delay: float, loss: float) -> None:
        """Each frame takes `delay` s, and a share `loss` of them never arrives."""
        self.hosts, self.delay, self.loss = hosts, delay, loss
        self.is_cut = False
        self.carried = self.lost = 0  # frames
        self._stack = ExitStack()
        self._stop = threading.Event()

    def __enter__(self) -> Cable:
        """OSError where this machine does not allow it."""
        with ExitStack() as stack:
            self._ends = []
            for number, host in enumerate(self.hosts):
                ip(f'netns add {host}')
                stack.callback(ip, f'netns del {host}')
                end = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
                stack.callback(os.close, end)
                name = f'c{number}{os.getpid()}'
                fcntl.ioctl(end, TUNSETIFF, struct.pack('16sH', name.encode(), TAP | NO_INFO))
                ip(f'link set {name} netns {host}')
                ip(f'-n {host} addr add 10.78.0.{number + 1}/24 dev {name}')
                ip(f'-n {host} link set lo up')
                ip(f'-n {host} link set {name} up')
                ip(f'-n {host} route add 224.0.0.0/4 dev {name}')
                self._ends.append(end)
            thread = threading.Thread(target=self._carry, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(self._stop.set)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _carry(self) -> None:
        rng = random.Random(0)
        under_way: deque[tuple[float, int, bytes]] = deque()
        while not self._stop.is_set():
            wait = under_way[0][0] - time.monotonic() if under_way else 0.1
            for end in select.select(self._ends, [], [], max(0.0, wait))[0]:
                frame = os.read(end, LARGEST_FRAME)
                if self.is_cut or rng.random() < self.loss:
                    self.lost += 1
                else:
                    other = self._ends[1 - self._ends.index(end)]
                    under_way.append((time.monotonic() + self.delay, other, frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, end, frame = under_way.popleft()
                os.write(end, frame)
                self.carried += 1
