# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learner's parameters about robots: whose transitions it gets, and which it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from loop_ros.control.intake import robot_names
from loop_ros.nodes.parameters import declare

NAME = 'leave_out'


def declare_sources(node: Node) -> tuple[str, ...]:
    """Namespaces of the robots; one that is empty where none is named."""
    text = declare(
        node,
        'sources',
        '',
        'namespaces of the robots whose transitions are learned from, with commas between them '
        "(robot_1..4 for four); empty: the one robot in the learner's own",
    )
    try:
        return robot_names(text) or ('',)
    except ValueError as error:
        raise ValueError(f'sources: {error}') from None


class LeaveOut:
    """Robots whose transitions are judged but not learned from; may be set at any time."""

    def __init__(
        self, node: Node, sources: Sequence[str], on_change: Callable[[frozenset[str]], None]
    ) -> None:
        """Declare the parameter; ValueError where it names no source."""
        self._sources, self._on_change = sources, on_change
        text = declare(
            node,
            NAME,
            '',
            'robots of `sources` that are left out of learning, with commas between them',
            read_only=False,
        )
        self.names = self._read(text)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _read(self, text: str) -> frozenset[str]:
        names = robot_names(text)
        for name in names:
            if name not in self._sources:
                known = ', '.join(filter(None, self._sources)) or 'none, for it has one robot'
                raise ValueError(f'{NAME}: {name} is none of the sources ({known})')
        return frozenset(names)

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse with the reason; changes nothing, for another callback may still refuse."""
        for parameter in parameters:
            if parameter.name == NAME:
                try:
                    self._read(parameter.value)
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == NAME:
                self.names = self._read(parameter.value)
                self._on_change(self.names)
