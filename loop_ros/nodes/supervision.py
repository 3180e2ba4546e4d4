# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The supervisor in ROS: its parameters, ~/stop and ~/reset."""

from __future__ import annotations

from typing import Any

import numpy as np
from std_srvs.srv import Trigger

from loop_ros.control.gate import Gate
from loop_ros.control.supervisor import Limits
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.parameters import declare, declare_numbers
from loop_ros.sim.task import Task

OPERATOR_STOP = 'operator stop'
# What of the supervisor's limits is a parameter: description, least, most, unit.
PARAMETERS: dict[str, tuple[str, float, float, str]] = {
    'state_timeout': ('without a state for so long the robot is stopped', 0.01, 3600, 's'),
    'hold_time': ('in which a hold goes from the last command to the safe one', 0, 60, 's'),
    'distrust_band': (
        "error of a predicted state that counts, in the ensemble's standard deviations",
        0.1,
        1000,
        '',
    ),
    'distrust_steps': (
        'so many errors in a row, and the actor drives for a while; 0: never, and the default '
        'while training and as a shadow',
        0,
        1_000_000,
        '',
    ),
    'unsafe_steps': (
        'so many plans in a row with no sequence within d0, and the robot is held; 0: never',
        0,
        1_000_000,
        '',
    ),
}


class Supervision:
    """~/stop and ~/reset of a gate.

    They are there for as long as the node lives: a stop is taken in every state of its life.
    """

    def __init__(self, node: ManagedNode, gate: Gate) -> None:
        self._node, self._gate = node, gate
        node.create_service(Trigger, '~/stop', self._on_stop)
        node.create_service(Trigger, '~/reset', self._on_reset)

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._gate.stop(OPERATOR_STOP, self._node.now())
        self._node.get_logger().warning(f'{OPERATOR_STOP}: the robot stands until ~/reset')
        response.success, response.message = True, 'stopped until ~/reset'
        return response

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        released = '; '.join(self._gate.reset())
        if released:
            self._node.get_logger().info(f'reset, after: {released}')
        response.success = True
        response.message = f'released: {released}' if released else 'nothing was latched'
        return response


def declare_limits(
    node: ManagedNode, task: Task, wall_period: float, distrust_disabled: bool
) -> Limits:
    """The task's limits, and what the parameters say; `distrust_disabled` unless they say so."""
    defaults = {name: getattr(Limits, name) for name in PARAMETERS}
    if (
        distrust_disabled
    ):  # a model that still learns is wrong at first, and its actor knows no better
        defaults['distrust_steps'] = 0
    defaults['state_timeout'] = max(defaults['state_timeout'], 3 * task.control_period)
    given: dict[str, Any] = {
        name: declare(node, name, defaults[name], text, minimum=low, maximum=high, unit=unit)
        for name, (text, low, high, unit) in PARAMETERS.items()
    }
    return Limits(
        period=round(task.control_period * 1e9),
        wall_period=wall_period,
        low=np.array(task.action_low),
        high=np.array(task.action_high),
        safe=np.array(task.safe_command),
        rates=declare_numbers(
            node,
            'rate_limits',
            [0.0] * len(task.action_labels),
            f'most change of {", ".join(task.action_labels)}, units/s; 0: any',
        ),
        **given,
    )
