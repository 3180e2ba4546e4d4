# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights from the one node that may publish them.

rclpy does not say who sent a message, so the graph is asked when one arrives: it counts while its
only publisher is the node that is allowed. Anybody may take a name; only SROS2 keeps others out
(SECURITY.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from std_msgs.msg import UInt8MultiArray

from loop_ros.control.trial import WeightsTrial
from loop_ros.nodes import conversions, qos
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.parameters import declare

LOOK_PERIOD = 0.2  # s between looks whether those who may not publish are gone
UNKNOWN = '_NODE_NAME_UNKNOWN_'  # what the graph calls a node until it knows its name


def declare_trial(node: ManagedNode, period: float) -> WeightsTrial:
    """The trial that new weights pass; a plan under them may take `period` (s)."""
    steps = declare(
        node,
        'trial_steps',
        100,
        "the robot's last steps on which new weights are tried before they are taken, and "
        'again as many under them; 0: they are taken untried',
        minimum=0,
        maximum=100_000,
    )
    tolerance = declare(
        node,
        'trial_tolerance',
        2.0,
        'errors of new weights that are tolerated, as a multiple of those of the present ones',
        minimum=1,
        maximum=1e6,
    )
    return WeightsTrial(steps, tolerance, period)


class WeightsInbox:
    """Hands on weights or, as a ValueError, why they are refused.

    After a refusal it subscribes again as soon as no other node publishes: the weights of the node
    that is allowed are transient-local, so they come again.
    """

    def __init__(
        self,
        node: ManagedNode,
        accept: Callable[[bytes], None],
        refuse: Callable[[ValueError], None],
    ) -> None:
        """Declare the parameter."""
        self._node, self._accept, self._refuse = node, accept, refuse
        name = declare(
            node,
            'weights_from',
            'learner',
            'node whose weights are taken, in this namespace or with a leading slash; weights that '
            'come while another one publishes them are refused; empty: anybody',
        )
        self._allowed = full_name(node.get_namespace(), name) if name else ''
        self._missed = False  # something was refused since the last subscription

    def open(self) -> None:
        """Subscribe, until the node is deactivated."""
        self._subscribe()
        self._node.every(LOOK_PERIOD, self._look)

    def _subscribe(self) -> None:
        self._missed = False
        self._subscription = self._node.subscribe(
            UInt8MultiArray, 'weights', self._on_message, qos.WEIGHTS
        )

    def _on_message(self, message: UInt8MultiArray) -> None:
        publishers = self._publishers()
        reason = objection(publishers, self._allowed)
        if not reason:
            self._accept(conversions.weights_from_msg(message))
            return
        self._missed = True
        if publishers:  # else its name may come in the next moment
            self._refuse_from(publishers, reason)

    def _look(self) -> None:
        """Get what was missed once it can be trusted, or warn again."""
        if not self._missed:
            return
        publishers = self._publishers()
        if reason := objection(publishers, self._allowed):
            self._refuse_from(publishers, reason)
        else:
            self._node.unsubscribe(self._subscription)
            self._subscribe()

    def _refuse_from(self, publishers: Sequence[str], reason: str) -> None:
        """Not of a node whose name the graph does not know yet."""
        if not any(UNKNOWN in name for name in publishers):
            self._refuse(ValueError(reason))

    def _publishers(self) -> list[str]:
        found = self._node.get_publishers_info_by_topic(self._subscription.topic_name)
        return [full_name(info.node_namespace, info.node_name) for info in found]


def full_name(namespace: str, name: str) -> str:
    """A node's name with its namespace."""
    return name if name.startswith('/') else f'{namespace.rstrip("/")}/{name}'


def objection(publishers: Sequence[str], allowed: str) -> str:
    """Why a message of a topic with these publishers is refused; empty where it is not."""
    if not allowed:
        return ''
    others = sorted(set(publishers) - {allowed})
    if others:
        return f'published by {", ".join(others)}, and weights_from allows only {allowed}'
    if len(publishers) > 1:
        return f'{len(publishers)} publishers call themselves {allowed}; one is allowed'
    return '' if publishers else f'their publisher is gone, and weights_from asks for {allowed}'
