# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros repair: a whole bag of one whose recording was cut off."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command `repair`."""
    parser = commands.add_parser(
        'repair',
        help='make a whole bag of one that was cut off',
        description='Writes every message that is whole, of all topics and as it was recorded, '
        'into a new bag with indexes and metadata.yaml. The bag itself stays as it is. Only '
        'other programs need this: loop-ros reads cut bags as they are.',
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='a folder, or one of its files')
    parser.add_argument('--out', type=Path, required=True, metavar='NEW', help='the new bag')
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from loop_ros.bags.repair import repair

    print(repair(options.bag, options.out).describe())
    return 0
