# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of the source tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def sources(*patterns: str) -> list[Path]:
    """List the files of the tree that git knows or would add."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '--', *patterns]
    listed = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True).stdout
    return [TREE / name for name in listed.splitlines() if (TREE / name).is_file()]
