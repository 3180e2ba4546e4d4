# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Executable `panel_node`; the node itself is in panel.py."""

import sys

from loop_ros.nodes.entry import run


def main() -> int:
    """Run the node; its exit code."""
    return run('loop_ros.nodes.panel', 'PanelNode')


if __name__ == '__main__':
    sys.exit(main())
