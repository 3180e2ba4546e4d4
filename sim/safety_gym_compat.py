# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The two adaptations that safety-gymnasium 1.0.0 needs, and nothing else.

- Its package file imports wrappers that gymnasium 1.0 removed: the package is entered without
  running that file, which registers environments and is otherwise not needed.
- It gives dataclass fields numpy arrays as defaults, which CPython 3.11 refuses: each becomes a
  default_factory while the package is imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

PACKAGE = 'safety_gymnasium'


def make_world(robot: str, level: str, **kwargs: Any) -> Any:
    """A bare environment of safety-gymnasium: robot 'Point' or 'Car', level 'Goal1'."""
    builder = _load(f'{PACKAGE}.builder')
    return builder.Builder(
        task_id=f'Safety{robot}{level}-v0', config={'agent_name': robot}, **kwargs
    )


def enter() -> None:
    """Enter the package without running its file; `import safety_gymnasium` then finds it."""
    if PACKAGE not in sys.modules:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None:
            raise ModuleNotFoundError(f"No module named '{PACKAGE}'", name=PACKAGE)
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)


def _load(module: str) -> Any:
    enter()
    with _array_defaults():
        return importlib.import_module(module)


@contextlib.contextmanager
def _array_defaults() -> Iterator[None]:
    """Let the package's dataclasses have arrays as defaults, as CPython 3.10 did."""
    original = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        if cls.__module__.startswith(f'{PACKAGE}.'):
            for name, default in list(vars(cls).items()):
                if isinstance(default, np.ndarray):
                    setattr(cls, name, dataclasses.field(default_factory=_returning(default)))
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _returning(array: np.ndarray[Any, Any]) -> Callable[[], np.ndarray[Any, Any]]:
    return lambda: array
