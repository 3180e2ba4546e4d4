# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the planner's searches know beyond their plans: on a topic for viewers, by ~/what_if."""

from __future__ import annotations

import time
from collections.abc import Callable

from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from loop_ros.agent import Agent
from loop_ros.control.explanation import what_if
from loop_ros.control.gate import State
from loop_ros.nodes import qos
from loop_ros.nodes.managed import ManagedNode
from loop_ros.nodes.outlook_message import to_msg
from loop_ros.nodes.parameters import declare_numbers
from loop_ros.outlook import Outlook, OutlookView, outlook, view_of
from loop_ros.sim.task import Task
from loop_ros.types import Plan

PERIOD, UNWATCHED_PERIOD = 0.2, 0.5  # s between two outlooks, and where nobody subscribes
FRESH = 2.0  # s for which one answers ~/what_if
CANDIDATES = 24  # that are shown
THRESHOLDS = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
MOST_THRESHOLDS = 20
SHARE = 0.75  # of the control period that plan and outlook may take together in real time


class Outlooks:
    """An observer of plans, in the planner thread: looks about where there is time for it."""

    def __init__(self, node: ManagedNode, task: Task, spare: float) -> None:
        """`spare` (s) is what plan and outlook may take together."""
        self._node, self._task, self._spare = node, task, spare
        self._thresholds = declare_numbers(
            node,
            'what_if',
            THRESHOLDS,
            'thresholds d0 for which planner/outlook and ~/what_if say what would be planned',
            most=MOST_THRESHOLDS,
        )
        node.create_service(Trigger, '~/what_if', self._on_what_if)
        self.skipped = 0  # for want of time
        self.on_view: Callable[[OutlookView], None] = lambda view: None
        self.is_watched: Callable[[], bool] = lambda: False  # by way of `on_view`
        self._last: tuple[float, Outlook, float] | None = None  # when, what, d0
        self._next, self._cost = 0.0, 0.0  # s

    def advertise(self, topic: str) -> None:
        """Make the publisher, until the node is cleaned up."""
        self._last = None
        self._publisher = self._node.advertise(Float64MultiArray, topic, qos.VIEW)

    def observe(self, agent: Agent, state: State, plan: Plan) -> None:
        """Called with each plan."""
        begin = time.monotonic()
        if begin < self._next or not plan.predicted or state.observation is None:
            return
        watched = self._publisher.get_subscription_count() > 0 or self.is_watched()
        self._next = begin + (PERIOD if watched else UNWATCHED_PERIOD)
        if plan.plan_s + self._cost > self._spare:
            self.skipped += 1
            self._cost /= 2  # a single slow one is no reason for ever
            return
        found = outlook(agent, self._thresholds.tolist(), CANDIDATES)
        assert found is not None
        seen = view_of(found, state.stamp, plan.d0, state.observation, self._task)
        self._publisher.publish(to_msg(seen))
        self.on_view(seen)
        self._cost = time.monotonic() - begin
        self._last = begin, found, plan.d0

    def _on_what_if(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = f'no sequences were compared in the last {FRESH:g} s'
        if self._last is not None:
            made, found, d0 = self._last
            response.success = time.monotonic() - made < FRESH
            if response.success:
                response.message = what_if(found, d0, self._task)
        return response
