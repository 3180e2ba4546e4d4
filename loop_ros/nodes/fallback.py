# Copyright 2026 The loop_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to command when a plan is late: the shifted last plan, the actor, the safe command."""

from __future__ import annotations

from loop_ros.sim.task import Array
from loop_ros.types import Plan

FRESH, SHIFTED, ACTOR, SAFE = range(4)


class FallbackLadder:
    """Remembers the last plan and the actor's last answer; stamps are in nanoseconds."""

    def __init__(self, period: int, safe_command: Array) -> None:
        """Take the control period (ns) and the task's safe command [A]."""
        self._period = period
        self._safe_command = safe_command
        self._plan: tuple[int, Plan] | None = None
        self._actor: tuple[int, Array] | None = None

    def keep_plan(self, stamp: int, plan: Plan) -> None:
        """Remember a plan, also one that came too late to be executed."""
        self._plan = (stamp, plan)

    def keep_actor(self, stamp: int, action: Array) -> None:
        """Remember what the actor would do at `stamp`."""
        self._actor = (stamp, action)

    def clear(self) -> None:
        """Forget both: they belong to another episode."""
        self._plan = self._actor = None

    def command(self, stamp: int) -> tuple[int, Array, Plan | None]:
        """The level, the action [A] for the state at `stamp`, and the plan it comes from."""
        if self._plan is not None:
            planned_at, plan = self._plan
            row = round((stamp - planned_at) / self._period)
            if 0 <= row < len(plan.sequence):
                return SHIFTED, plan.sequence[row], plan
        if self._actor is not None and self._actor[0] == stamp:
            return ACTOR, self._actor[1], None
        return SAFE, self._safe_command, None
