# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of the command line, checked as they are read."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{value} is not positive')
    return value


def duration(text: str) -> float:
    """A finite length of time above 0."""
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not a length of time')
    return value
