# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where packages, their share directories and their executables are found."""

import os
import sys
from pathlib import Path

from ros2_standalone.errors import Ros2Error

_PREFIX_VARIABLE = 'AMENT_PREFIX_PATH'


def prefixes() -> list[Path]:
    """Return the install prefixes to search: AMENT_PREFIX_PATH, then this Python's own."""
    listed = [Path(p) for p in os.environ.get(_PREFIX_VARIABLE, '').split(os.pathsep) if p]
    own = Path(sys.prefix)
    return listed if own in listed else [*listed, own]


def export_prefixes() -> None:
    """Put this Python's prefix on AMENT_PREFIX_PATH so that nodes find what this command finds."""
    os.environ[_PREFIX_VARIABLE] = os.pathsep.join(map(str, prefixes()))


def _marker(prefix: Path, package: str) -> Path:
    return prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / package


def package_prefix(package: str) -> Path:
    """Return the prefix a package is installed in.

    :raises Ros2Error: the package is in no prefix.
    """
    for prefix in prefixes():
        if _marker(prefix, package).exists():
            return prefix
    searched = ', '.join(map(str, prefixes()))
    raise Ros2Error(
        f"package '{package}' not found, searching: [{searched}]; "
        f'install it, or add its install prefix to {_PREFIX_VARIABLE}'
    )


def package_share(package: str) -> Path:
    """Return PREFIX/share/PACKAGE.

    :raises Ros2Error: the package is in no prefix.
    """
    return package_prefix(package) / 'share' / package


def package_executable(package: str, name: str) -> Path:
    """Return the path of a package's executable.

    PREFIX/lib/PACKAGE/NAME in each prefix, then NAME beside this Python (where pip puts scripts).

    :raises Ros2Error: no such executable file.
    """
    candidates = [prefix / 'lib' / package / name for prefix in prefixes()]
    candidates.append(Path(sys.executable).parent / name)
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    package_prefix(package)  # names the package if it is the package that is missing
    raise Ros2Error(
        f"package '{package}' has no executable '{name}' (looked for: "
        f'{", ".join(map(str, candidates))})'
    )


def share_file(package: str, name: str) -> Path:
    """Return the one file of that name anywhere under the package's share directory.

    :raises Ros2Error: none, or more than one.
    """
    share = package_share(package)
    found = sorted(path for path in share.rglob(name) if path.is_file()) if name else []
    if len(found) == 1:
        return found[0]
    if found:
        listed = ', '.join(map(str, found))
        raise Ros2Error(f"'{name}' was found more than once in '{share}': {listed}; pass a path")
    raise Ros2Error(f"file '{name}' was not found in the share directory '{share}' of '{package}'")
