# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that were given to a node and that it does not have: rcl takes them in silence."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from rclpy.node import Node

from loop_ros import plain_yaml


def check_file(params_file: str) -> None:
    """ValueError where the file does not exist, which a launch only warns of."""
    if params_file and not Path(params_file).is_file():
        raise ValueError(f"params_file '{params_file}': no such file")


def unknown(node: Node, names: Iterable[str]) -> list[str]:
    """What to say of each name that is no parameter of the node."""
    known = node.list_parameters([], 0).names
    return [
        f"'{name}' is no parameter of {node.get_fully_qualified_name()}{_hint(name, known)}"
        for name in sorted(set(names) - set(known))
    ]


def given_in_vain(node: Node, params_file: str, nodes: Container[str] = ()) -> list[str]:
    """What to say of parameters that were given at the start and are not heeded.

    `nodes` are the full names of all in this process: a section for another one is not in vain.
    """
    # rclpy has no public name for what the command line and its files gave.
    given: dict[str, Any] = node._parameter_overrides
    found = unknown(
        node, (name for name in given if not name.startswith(('launch.', 'qos_overrides.')))
    )
    sections = plain_yaml.load(Path(params_file).read_text()) if params_file else None
    for section, content in (sections or {}).items():
        name = str(section).rpartition('/')[2]
        close = difflib.get_close_matches(name, [node.get_name()], cutoff=0.75)
        parameters = content.get('ros__parameters') if isinstance(content, dict) else None
        heeded = name == node.get_name() and set(_names(parameters or {})) & set(given)
        if close and parameters and not heeded and str(section) not in nodes:
            found.append(
                f"the section '{section}' of {params_file} is not for "
                f"{node.get_fully_qualified_name()}; did you mean '/**/{node.get_name()}'?"
            )
    return found


def _names(parameters: dict[str, Any], prefix: str = '') -> list[str]:
    names = []
    for name, value in parameters.items():
        nested = isinstance(value, dict)
        names += _names(value, f'{prefix}{name}.') if nested else [f'{prefix}{name}']
    return names


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ''
