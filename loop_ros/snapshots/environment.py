# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the last bits of a plan may depend on, beside its inputs."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import socket
from pathlib import Path
from typing import Any

import numpy as np
import torch

import loop_ros

# What explains a difference of bits, the likeliest first.
DECISIVE = ('loop_ros', 'code', 'torch', 'cpu', 'cpu_capability', 'gpu', 'numpy', 'python')

_PLANNING = ('agent.py', 'devices.py', 'models/*.py', 'planning/*.py', 'settings/*.py', 'sim/*.py')


@functools.cache
def here() -> dict[str, str]:
    """Names and versions on this machine."""
    return {
        'host': socket.gethostname(),
        'system': platform.platform(),
        'cpu': _cpu(),
        'cores': str(os.cpu_count()),
        'cpu_capability': torch.backends.cpu.get_cpu_capability(),
        'gpu': torch.cuda.get_device_name() if torch.cuda.is_available() else '',
        'loop_ros': loop_ros.__version__,
        'code': _code(),
        'torch': torch.__version__,
        'numpy': np.__version__,
        'python': platform.python_version(),
    }


def differences(recorded: dict[str, str]) -> list[str]:
    """What differs here from there that may change bits, in words."""
    now = here()
    return [
        f'{name} is {now[name] or "none"}, was {recorded.get(name) or "none"}'
        for name in DECISIVE
        if now[name] != recorded.get(name)
    ]


def check(recorded: Any) -> None:
    """TypeError where these are no names and versions."""
    if not isinstance(recorded, dict) or not all(isinstance(v, str) for v in recorded.values()):
        raise TypeError('environment is no mapping of texts')


def _cpu() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='ascii', errors='replace').splitlines()
    except OSError:
        lines = []
    models = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(models, platform.processor() or platform.machine())


def _code() -> str:
    """A digest of the modules that plan: an edited checkout keeps its version."""
    found = hashlib.sha256()
    root = Path(loop_ros.__file__).parent
    modules = (path for part in _PLANNING for path in sorted(root.glob(part)))
    for path in modules:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
