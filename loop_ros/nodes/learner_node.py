# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Executable `learner_node`; the node itself is in learner.py.

Of the processes that torchrun starts the first is the node, and the others only learn with it.
"""

import os
import sys

from loop_ros.nodes.entry import run


def main() -> int:
    """Run the node; its exit code."""
    if int(os.environ.get('RANK', '0')) > 0:
        from loop_ros.learning import crew

        if crew.follows():
            return crew.run()
    return run('loop_ros.nodes.learner', 'LearnerNode')


if __name__ == '__main__':
    sys.exit(main())
