# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""loop-ros report: one HTML page about many experiments and trainings from bags."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the command `report`."""
    parser = commands.add_parser('report', help='one HTML page about many runs')
    parser.add_argument(
        'folders', type=Path, nargs='+', help='searched for --out of experiment and train-offline'
    )
    parser.add_argument('--out', type=Path, required=True, help='the page, as report.html')
    parser.add_argument(
        '--figures', type=Path, metavar='FOLDER', help='the curves as SVG and PNG files too'
    )
    parser.set_defaults(run=_run)


@contextlib.contextmanager
def libraries(command: str) -> Iterator[None]:
    """Around the import of what makes pages: says what a command needs where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ('plotly', 'jinja2'):
            raise
        raise ValueError(f'{command} needs {error.name}: pip install {error.name}') from None


def _run(options: argparse.Namespace) -> int:
    with libraries('report'):
        from loop_ros.cli.report.page import write
    write(options.folders, options.out, options.figures)
    print(options.out)
    return 0
