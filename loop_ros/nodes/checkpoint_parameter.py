# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other weights while the robot drives: the planner's parameter `checkpoint` may be set."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from loop_ros import checkpoint
from loop_ros.agent import read_agent
from loop_ros.sim.task import Task

NAME = 'checkpoint'


class CheckpointParameter:
    """Reads a checkpoint when the parameter is set; its weights are tried as a learner's are."""

    def __init__(self, node: Node, task: Task, accept: Callable[[bytes], None]) -> None:
        """`accept` gets the weights; settings of the checkpoint are not taken over."""
        self._task, self._accept = task, accept
        self._read: tuple[str, bytes] | None = None
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse what cannot be read, with the reason."""
        for parameter in parameters:
            if parameter.name == NAME:
                try:
                    self._read = parameter.value, self._weights(parameter.value)
                except (ValueError, OSError) as error:
                    return SetParametersResult(successful=False, reason=f'{NAME}: {error}')
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == NAME and self._read is not None:
                name, data = self._read
                if name == parameter.value:
                    self._accept(data)

    def _weights(self, name: str) -> bytes:
        path = checkpoint.resolve(name, self._task.name)
        if path is None:
            raise ValueError('untrained weights can be chosen at the start only; name a folder')
        files, _ = read_agent(path, self._task)
        return files['agent']
