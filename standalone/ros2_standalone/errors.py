# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, in words meant for the person at the terminal."""

from pathlib import Path


class Ros2Error(Exception):
    """A failure whose message names the thing and the remedy; ends the command with code 1."""


class LaunchFileError(Ros2Error):
    """A launch file that is wrong or beyond the subset; names the file and the line."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(f'{file}:{line}: {message}')


class SubstitutionError(Ros2Error):
    """A `$(...)` that cannot be parsed or resolved; the launch file adds file and line."""
