# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of the source tree, and what they import."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


def sources(*patterns: str) -> list[Path]:
    """List the files of the tree that git knows or would add."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '--', *patterns]
    listed = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True).stdout
    return [TREE / name for name in listed.splitlines() if (TREE / name).is_file()]


def imports(path: Path) -> set[str]:
    """Return what a file imports, within functions too: 'a.b' for `from a import b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path.relative_to(TREE)}:{node.lineno}: a relative import'
            found.update(f'{node.module}.{alias.name}' for alias in node.names)
    return found
