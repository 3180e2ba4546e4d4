# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The start of every executable; light, so that Ctrl-C during the heavy imports is harmless too."""

from __future__ import annotations

import importlib
import signal
import sys
import threading

from loop_ros.missing import sentence
from loop_ros.process_end import end_despite_threads


def run(module: str, node: str) -> int:
    """Run the class `node` of `module` until SIGINT or SIGTERM; the process's exit code.

    Or several nodes: what a function of this name makes.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        managed = importlib.import_module('loop_ros.nodes.managed')
        make_node = getattr(importlib.import_module(module), node)
    except ModuleNotFoundError as error:
        print(f'error: {sentence(error)}', file=sys.stderr, flush=True)
        return 1
    if stop.is_set():
        return 0
    code = int(managed.run(make_node, stop, sys.argv))
    end_despite_threads(code)
    return code
